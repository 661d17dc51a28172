// Runs the six parts and prints a line for each; ends with 1 at the first that does not do what it should.
//
//     dependant PHOTO

import CPNG
import CZlib
import Checkpoints
import DependantParts
import Files
import Foundation
import MVARCheckpoints
import MVARFiles
import MVARPlots
import MVARVerification
import Media
import OperatorCases
import Plots
import Synchronization
import TensorCore
import TestSupport
import Training
import Verification

@main
struct DependantProgram {
  static func main() async {
    guard CommandLine.arguments.count == 2 else { fail("usage: dependant PHOTO") }
    do {
      try await sample()
      try await reconstruct(CommandLine.arguments[1])
      try train()
      try attend()
      try findFault()
      try await askAtOnce()
    } catch {
      fail("\(error)")
    }
    let modules = [
      OwnFiles.name, OwnMedia.name, OwnTraining.name, OwnCheckpoints.name, OwnVerification.name, OwnPlots.name,
      OwnTestSupport.name, OwnCPNG.name, OwnCZlib.name,
    ]
    print("modules of this package's own: \(modules.joined(separator: ", "))")
  }

  static func sample() async throws {
    let scales = Mutex<[SampledScale]>([])
    let images = try await flagsAndClocks { progress in
      scales.withLock { $0.append(SampledScale(firstImage: progress.images.lowerBound, scale: progress.scale)) }
    }
    let reported = scales.withLock { $0 }
    try expect(images.count == 4 && images.map(\.className) == ["flag", "flag", "clock", "clock"], "four images")
    try expect(
      reported.first == SampledScale(firstImage: 0, scale: 0) && reported.count % images[0].tokens.count == 0,
      "progress scale by scale")
    let canceled = try await canceledRequest()
    try expect(canceled.endedCanceled && canceled.scalesAfterwards <= 1, "a canceled task ends within a scale")
    print(
      "1 sampling: \(images.count) images, progress at \(reported.count) scales; a canceled task ended with a "
        + "CancellationError, \(canceled.scalesAfterwards) scales later")
  }

  static func reconstruct(_ photo: String) async throws {
    let result = try await reconstruction(ofPhotoAt: photo)
    try expect(result.decoded.width == 64 && result.decoded.height == 64, "an image of 64 × 64 pixels")
    try expect(result.meanError < result.meanErrorUpsideDown, "the photo is recognizable")
    print(
      "2 photo: \(result.tokenCounts.reduce(0, +)) tokens in \(result.tokenCounts.count) scales, decoded to "
        + "\(result.decoded.width) × \(result.decoded.height) pixels, off by \(rounded(result.meanError)) of 255 on average, "
        + "upside down by \(rounded(result.meanErrorUpsideDown))")
  }

  static func train() throws {
    let step = try trainingStep(on: CPU<Float>.self, device: HostDevice())
    try expect(step.missing.isEmpty && step.normOfFirstBlock > 0, "every parameter has a gradient")
    try expect(step.losses.after < step.losses.before, "the loss falls")
    print(
      "3 training: \(step.gradientCount) gradients by name, loss \(rounded(step.losses.before)) before the step and "
        + "\(rounded(step.losses.after)) after it")
  }

  static func attend() throws {
    let comparisons = try comparedWindowedAttention()
    try expect(comparisons.count == 4, "an output and three gradients")
    for comparison in comparisons { try expect(comparison.passes, "\(comparison)") }
    let worst = comparisons.map(\.relative).max() ?? 0
    print(
      "4 windowed attention: output and 3 gradients in single precision within \(rounded(worst)) of double precision")
  }

  static func findFault() throws {
    let own = try findings("silu", on: OwnEngine.self, device: HostDevice())
    try expect(own.cases > 0 && own.findings.isEmpty, own.findings.map(\.description).joined(separator: "\n"))
    let faulty = try findings("silu", on: FaultyEngine.self, device: HostDevice())
    try expect(!faulty.findings.isEmpty, "the fault is found")
    print(
      "5 own kernel: \(own.cases) cases of silu, nothing found; \(faulty.findings.count) findings on the engine with a fault"
    )
  }

  static func askAtOnce() async throws {
    let (inSequence, atOnce) = try await concurrentRequests(4)
    try expect(inSequence == atOnce && Set(inSequence).count == 4, "the same tokens at once and in sequence")
    print("6 concurrency: \(atOnce.count) requests at once gave the same tokens as in sequence")
  }

  /// A scale that progress was reported for.
  struct SampledScale: Hashable { let firstImage, scale: Int }

  /// Something that should be so and is not.
  struct Disappointment: Error, CustomStringConvertible { let description: String }

  static func expect(_ isTrue: Bool, _ what: String) throws {
    if !isTrue { throw Disappointment(description: "not so: \(what)") }
  }

  static func rounded(_ number: Double) -> String { String(format: "%.4g", number) }

  static func fail(_ sentence: String) -> Never {
    FileHandle.standardError.write(Data("dependant: \(sentence)\n".utf8))
    exit(1)
  }
}
