// `mvar verify`: golden files against an engine, one row per tensor.

import ArgumentParser
import Foundation
import MVAR
import MVARFiles
import MVARVerification
import TensorCore

/// How much `verify` prints.
enum VerifyDetail: String, EnumerableFlag {
  case all
  case quiet
  case summary

  static func help(for value: VerifyDetail) -> ArgumentHelp? {
    switch value {
    case .all: "Print every row."
    case .quiet: "Print only rows that did not pass."
    case .summary: "Print one line per file."
    }
  }
}

struct Verify: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Compare an engine with golden values.",
    discussion: """
      The metadata of each file specifies what to run. One row per tensor shows the largest absolute and relative \
      error, where it is, and the tolerance. Exit status 0 if all comparisons passed, 1 if any failed, 2 if something \
      could not be judged.

        mvar verify Fixtures/golden --device reference --summary
      """)

  @Argument(help: "Golden files, or folders with golden files.")
  var files: [String]

  @Option(parsing: .unconditional, help: "The folder of the photographs that some files name.")
  var photos: String?

  @Flag var detail = VerifyDetail.all

  @OptionGroup(title: "Engine")
  var engine: EngineOptions

  @Flag(help: ArgumentHelp("Check one file in this process, and print JSON.", visibility: .hidden))
  var alone = false

  /// The exit status when something could not be judged, and nothing failed.
  static let notJudged = ExitCode(2)

  func run() throws {
    let engine = try engine.open()
    if alone {
      for file in files { try checkAlone(file, on: engine) }
      return
    }
    var (counts, unusable, isComplete) = (VerifyCounts(), 0, true)
    var found: [String] = []
    for file in files {
      do {
        found += try goldenFiles(file)
      } catch let failure as Failure {
        isComplete = false
        Console.complain(failure.description)
      }
    }
    let progress = Progress()
    for file in found {
      progress.report("verifying \(file)")
      do {
        let record = try IsolatedVerification(command: self).run(file)
        progress.finish()
        try show(record)
        counts.add(record.counts)
        if record.hasUnjudged { isComplete = false }
      } catch let failure as Failure {
        progress.finish()
        unusable += 1
        Console.complain(failure.description)
      }
    }
    if unusable < found.count {
      try Console.print(
        "\(counts) in \(found.count) file" + (found.count == 1 ? "" : "s")
          + (unusable > 0 ? ", \(unusable) of them unusable" : ""))
    }
    if counts.failed > 0 { throw ExitCode.failure }
    if unusable > 0 || !isComplete || counts.passed == 0 { throw Self.notJudged }
  }

  /// Checks a file in this process and prints the results as JSON, for the parent process.
  private func checkAlone(_ file: String, on engine: Engine) throws {
    let record: VerificationRecord
    do {
      record = VerificationRecord(try engine.runAsTruth(Verification(file: file, photos: photos)))
    } catch {
      // A model says what it cannot do, and not which file asked for it.
      let sentence = error is RequestError ? "\(file): \(error)" : MVARTool.describe(error)
      try Console.print(VerificationResult.unusable(sentence: sentence).json())
      throw Self.notJudged
    }
    try Console.print(VerificationResult.judged(record: record).json())
    if record.counts.failed > 0 { throw ExitCode.failure }
    if record.hasUnjudged { throw Self.notJudged }
  }

  /// Prints the results for a file.
  private func show(_ record: VerificationRecord) throws {
    try Console.print(printable("\(record.path) (\(record.kind)): \(record.counts)"))
    let rows = record.rows.filter { detail == .all || (detail == .quiet && $0.outcome != .passed) }
    if rows.isEmpty { return }
    try Table.print([["", "tensor", "absolute", "relative", "tolerance", "worst"]] + rows.map(\.cells))
  }

  /// The golden files that a path stands for.
  private func goldenFiles(_ path: String) throws -> [String] {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue else {
      return [path]
    }
    let folder = path.hasSuffix("/") ? String(path.dropLast()) : path
    let names: [String]
    do {
      names = try FileManager.default.contentsOfDirectory(atPath: path).sorted()
    } catch {
      throw Failure("\(path): the folder cannot be read")
    }
    let lists = ["schedules.json", "photos/crops.json"]
    let found =
      names.filter { $0.hasSuffix(".safetensors") }
      + lists.filter { FileManager.default.fileExists(atPath: "\(folder)/\($0)") }
    guard !found.isEmpty else { throw Failure("\(path): the folder holds no golden files (*.safetensors)") }
    return found.map { "\(folder)/\($0)" }
  }
}

/// The comparison of one file, on any engine.
private struct Verification: EngineTask {
  let file: String
  let photos: String?

  func run<B: Backend, D: EngineDevice>(on engine: B.Type, device: D) throws -> VerificationReport
  where B.Device == D {
    try Verifier<B>(on: device, photos: photos).verify(file)
  }
}
