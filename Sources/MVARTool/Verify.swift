// `mvar verify`: golden files against an engine, one row per tensor.

import ArgumentParser
import Foundation
import TensorCore
import Verification

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
      Each file says in its metadata what to run. One row per tensor shows the largest absolute and relative error, \
      where it is, and the tolerance. Exit status 0 if all that was compared passed, 1 if anything fails, 2 if \
      something could not be judged.

        mvar verify Fixtures/golden --device reference --summary
      """)

  @Argument(help: "Golden files, or folders of them.")
  var files: [String]

  @Option(parsing: .unconditional, help: "The folder of the photographs that some files name.")
  var photos: String?

  @Flag var detail = VerifyDetail.all

  @OptionGroup(title: "Engine")
  var engine: EngineOptions

  @Flag(help: ArgumentHelp("Check one file in this very process.", visibility: .hidden))
  var alone = false

  /// The status when something could not be judged, and nothing fails.
  static let notJudged = ExitCode(2)

  func run() throws {
    if alone {
      let engine = try engine.open()
      for file in files { try engine.runAsTruth(VerifyTask(command: self, file: file)) }
      return
    }
    _ = try engine.open()
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
        let result = try IsolatedVerification(command: self).run(file)
        progress.finish()
        try Console.print(result.text)
        counts.add(result.counts)
        if result.hasUnjudged { isComplete = false }
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
private struct VerifyTask: EngineTask {
  let command: Verify
  let file: String

  func run<B: Backend, D: EngineDevice>(_ engine: B.Type, on device: D) throws where B.Device == D {
    let report = try Verifier<B>(on: device, photos: command.photos).verify(file)
    let counts = VerifyCounts(passed: report.passed, failed: report.failed, notChecked: report.notChecked)
    try Console.print(Console.singleLine("\(report.path) (\(report.kind)): \(counts)"))
    let rows = report.rows.filter {
      command.detail == .all || (command.detail == .quiet && $0.outcome != .passed)
    }
    if !rows.isEmpty {
      let header = ["", "tensor", "absolute", "relative", "tolerance", "worst"]
      try Table.print([header] + rows.map(cells))
    }
    if report.hasUnjudged { throw Verify.notJudged }
  }

  private func cells(_ row: VerificationRow) -> [String] {
    let isExact = row.tolerance == "equal"
    let absolute = isExact ? String(format: "%.0f", row.absolute) : String(format: "%.2e", row.absolute)
    let relative = isExact ? "" : String(format: "%.2e", row.relative)
    switch row.outcome {
    case .passed: return ["pass", row.name, absolute, relative, row.tolerance, row.place]
    case .failed: return ["FAIL", row.name, absolute, relative, row.tolerance, row.place]
    case .notChecked(let reason): return ["----", row.name, "", "", "", "not checked: \(reason)"]
    case .notInFile: return ["----", row.name, "", "", "", "not in the file"]
    }
  }
}
