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
      where it is, and the tolerance. Exit status 1 if anything fails, or if nothing was compared.

        mvar verify Fixtures/golden --device reference --summary
      """)

  @Argument(help: "Golden files, or folders of them.")
  var files: [String]

  @Option(parsing: .unconditional, help: "The folder of the photographs that some files name.")
  var photos: String?

  @Flag var detail = VerifyDetail.all

  @OptionGroup(title: "Engine")
  var engine: EngineOptions

  func run() throws {
    let found = try files.flatMap(goldenFiles)
    try engine.runAsTruth(VerifyTask(command: self, files: found))
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
    let crops = "photos/crops.json"
    let found =
      names.filter { $0.hasSuffix(".safetensors") }
      + (FileManager.default.fileExists(atPath: "\(folder)/\(crops)") ? [crops] : [])
    guard !found.isEmpty else { throw Failure("\(path): the folder holds no golden files (*.safetensors)") }
    return found.map { "\(folder)/\($0)" }
  }
}

/// The comparison, on any engine.
private struct VerifyTask: EngineTask {
  let command: Verify
  let files: [String]

  func run<B: Backend>(_ engine: B.Type) throws where B.Device == LocalDevice {
    let verifier = Verifier<B>(on: LocalDevice(), photos: command.photos)
    let progress = Progress()
    var (passed, failed, notChecked, unreadable) = (0, 0, 0, 0)
    for file in files {
      progress.report("verifying \(file)")
      do {
        let report = try verifier.verify(file)
        passed += report.passed
        failed += report.failed
        notChecked += report.notChecked
        progress.finish()
        try print(report)
      } catch let code as ExitCode {
        throw code
      } catch {
        progress.finish()
        unreadable += 1
        Console.complain(MVARTool.describe(error))
      }
    }
    if unreadable < files.count {
      try Console.print(
        "\(passed) passed, \(failed) failed, \(notChecked) not checked in \(files.count) file"
          + (files.count == 1 ? "" : "s") + (unreadable > 0 ? ", \(unreadable) of them unusable" : ""))
    }
    if failed > 0 || unreadable > 0 || passed == 0 { throw ExitCode.failure }
  }

  private func print(_ report: VerificationReport) throws {
    let counts = "\(report.passed) passed, \(report.failed) failed, \(report.notChecked) not checked"
    try Console.print("\(report.path) (\(report.kind)): \(counts)")
    let rows = report.rows.filter {
      command.detail == .all || (command.detail == .quiet && $0.outcome != .passed)
    }
    if rows.isEmpty { return }
    let header = ["", "tensor", "absolute", "relative", "tolerance", "worst"]
    try Table.print([header] + rows.map(cells))
  }

  private func cells(_ row: VerificationRow) -> [String] {
    let isExact = row.tolerance == "equal"
    let absolute = isExact ? "\(Int(row.absolute))" : String(format: "%.2e", row.absolute)
    let relative = isExact ? "" : String(format: "%.2e", row.relative)
    switch row.outcome {
    case .passed: return ["pass", row.name, absolute, relative, row.tolerance, row.place]
    case .failed: return ["FAIL", row.name, absolute, relative, row.tolerance, row.place]
    case .notChecked(let reason): return ["----", row.name, "", "", "", "not checked: \(reason)"]
    }
  }
}

/// Text in columns.
enum Table {
  /// Prints rows with their columns aligned.
  static func print(_ rows: [[String]]) throws {
    let rows = rows.map { $0.map(Console.singleLine) }
    let widths = (0..<(rows.first?.count ?? 0)).map { column in rows.map { $0[column].count }.max() ?? 0 }
    for row in rows {
      let cells = zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
      var line = "  " + cells.joined(separator: "  ")
      while line.last == " " { line.removeLast() }
      try Console.print(line)
    }
  }
}
