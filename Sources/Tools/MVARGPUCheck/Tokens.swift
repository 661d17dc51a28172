// `gpu-check tokens`: with the same seed the device samples the same tokens as the CPU engine; with --edit also where a
// part of the tokens is given, as `mvar edit` does.
//
// Logits differ in their last digits, so two samples may occasionally fall on different sides of a boundary, and all
// later scales then differ. What counts is the first difference: up to that point the logits must agree.

import ArgumentParser
import MVAR
import MVARCUDA
import MVARTool
import TensorCore

struct Tokens: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Sample with the same seed on the device and on the CPU, and compare tokens and logits.")

  @OptionGroup var device: DeviceOptions
  @Option(help: "How many images.") var count = 4
  @Flag(help: "Keep the tokens of the left half of the images, and of the first two scales.") var edit = false

  func run() throws {
    let scenario = try Scenario(isSmall: device.small)
    progress("sampling \(count) images on the CPU")
    let expected = try sample(scenario, by: scenario.makeSampler(on: HostDevice()) as Sampler<CPU<Float>>)
    progress("sampling \(count) images on the device")
    let sampler: Sampler<CUDA> = try scenario.makeSampler(on: device.engine())
    let found = try sample(scenario, by: sampler)
    let images = count == 1 ? "1 image" : "\(count) images"
    let section =
      "The same seed on the device and on the CPU\(edit ? ", editing" : ""): \(scenario.name), \(images), float32"
    progress("sampling \(count) images with recorded launches")
    let recorded = try sampleRecorded(scenario, by: sampler)
    let different = zip(recorded.joined(), found.map(\.tokens).joined()).count { $0 != $1 }
    Measurement(
      section, "recorded launches beside single ones", "tokens that differ",
      "\(different) of \(recorded.joined().count)"
    ).report()
    guard different == 0 else { throw Failure("\(different) tokens differ where launches are recorded") }
    for (scale, (found, expected)) in zip(found, expected).enumerated() {
      let side = scenario.transformer.scaleList.sides[scale]
      let size = expected.logits.map { abs(Double($0)) }.max() ?? 0
      let error = zip(found.logits, expected.logits).map { abs(Double($0) - Double($1)) }.max() ?? 0
      let different = zip(found.tokens, expected.tokens).count { $0 != $1 }
      let row = "scale \(scale + 1), \(side) × \(side)"
      Measurement(section, row, "tokens that differ", "\(different) of \(expected.tokens.count)").report()
      Measurement(section, row, "logits, relative error", Amount.error(error / size)).report()
      guard error <= 1e-3 * size else { throw Failure("the logits of scale \(scale + 1) differ by \(error)") }
      if different > 0 {
        Measurement(section, row, "", "a sample near a boundary: later scales are other images").report()
        guard different * 1000 <= expected.tokens.count + 1000 else {
          throw Failure("\(different) tokens of scale \(scale + 1) differ")
        }
        return
      }
    }
  }

  /// The tokens of each scale, sampled with recorded launches that are repeated after sampling other images twice.
  private func sampleRecorded(_ scenario: Scenario, by sampler: Sampler<CUDA>) throws -> [[Int]] {
    let recordings = SamplingRecordings(sampler)
    for first in [count, 2 * count] { _ = try sample(scenario, by: sampler, first: first, recordings) }
    return try sample(scenario, by: sampler, recordings).map(\.tokens)
  }

  private func sample<B: Backend>(
    _ scenario: Scenario, by sampler: Sampler<B>, first: Int = 0, _ recordings: SamplingRecordings<B>? = nil
  ) throws -> [(tokens: [Int], logits: [B.Scalar])] {
    var scales: [(tokens: [Int], logits: [B.Scalar])] = []
    let labels = Array(scenario.labels(first + count)[first...])
    let streams = (0..<count).map { RandomStream(seed: 1, stream: UInt64(first + $0)) }
    let device = sampler.quantizer.codebook.weight.value.device
    let kept =
      edit
      ? try KeptTokens<B>(scenario.keptTokens(), vocabulary: scenario.transformer.vocabulary, on: device) : nil
    _ = try sampler.sample(
      labels: labels, streams: streams, Scenario.options(), keeping: kept, recordings: recordings
    ) {
      scales.append((try $0.tokens.values(), try $0.logits.scalars()))
    }
    return scales
  }
}
