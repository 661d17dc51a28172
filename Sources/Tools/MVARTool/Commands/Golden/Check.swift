// `mvar golden check`, also named `mvar verify`: golden files against an engine, one row per tensor.

import ArgumentParser
import Foundation
import MVAR
import MVARComparison
import MVARFiles
import MVARVerification
import TensorCore

extension Golden {
  struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Compare an engine with golden values.", discussion: CheckOptions.discussion("golden check"))

    @OptionGroup var check: CheckOptions

    func run() throws { try check.run() }
  }
}

/// The same under the name that it always had.
struct Verify: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Compare an engine with golden values (golden check).", discussion: CheckOptions.discussion("verify"))

  @OptionGroup var check: CheckOptions

  func run() throws { try check.run() }
}

/// The arguments of the check, and the check.
struct CheckOptions: ParsableArguments {
  static func discussion(_ command: String) -> String {
    """
    The metadata of each file specifies what to run. One row per tensor shows the errors of the element that uses most \
    of its bar, that share, where the element is with both values, how many elements are outside the bar, and the bar \
    with its reason. Exit status 0 if all comparisons passed, 1 if any failed, 2 if something could not be judged.

      mvar \(command) Fixtures/golden --device reference --summary
    """
  }

  @Argument(help: "Golden files, or folders with golden files.")
  var files: [String]

  @Option(parsing: .unconditional, help: "The folder of the photographs that some files name.")
  var photos: String?

  @OptionGroup(title: "Comparison")
  var comparison: ComparisonOptions

  @OptionGroup(title: "Engine")
  var engine: EngineOptions

  @Flag(help: ArgumentHelp("Check one file in this process, and print JSON.", visibility: .hidden))
  var alone = false

  func run() throws { try comparison.judging { try judge() } }

  private func judge() throws {
    let engine = try engine.open(for: .judging)
    if alone {
      for file in files { try Console.print(json: IsolatedCheck.line(try report(file, on: engine))) }
      return
    }
    let inputs = files.flatMap { (try? goldenFiles($0)) ?? [$0] }
    var printer = try ComparisonPrinter(comparison, title: "mvar golden check", keeping: inputs)
    let progress = Progress()
    for path in files {
      let found: [String]
      do {
        found = try goldenFiles(path)
      } catch let problem as FileError {
        try printer.show(ComparisonReport(subject: path, problem: problem.reason))
        continue
      }
      for file in found {
        progress.report("checking \(file)")
        let report = try IsolatedCheck(options: self).run(file)
        progress.finish()
        try printer.show(report)
      }
    }
    try printer.finish()
  }

  /// Checks a file in this process.
  private func report(_ file: String, on engine: Engine) throws -> ComparisonReport {
    do {
      return try engine.runAsTruth(
        FileCheck(file: file, photos: photos, limits: comparison.limits),
        inDoublePrecision: GoldenOperators.needDoublePrecision(file))
    } catch {
      return .unusable([file], error)
    }
  }

  /// The golden files that a path stands for.
  private func goldenFiles(_ path: String) throws -> [String] {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue else {
      return [path]
    }
    let folder = PathName.trimmed(path)
    let listing = try FolderListing(path)
    if let name = listing.otherNames.first { throw FileError(path, "holds the name \(name), which is not UTF-8") }
    let lists = ["schedules.json", "photos/crops.json"]
    let found =
      listing.names.filter { name in GoldenFormat.endings.contains { name.lowercased().hasSuffix($0) } }
      + lists.filter { FileManager.default.fileExists(atPath: "\(folder)/\($0)") }
    guard !found.isEmpty else { throw FileError(path, "the folder holds no golden files (*.safetensors, *.npz)") }
    return found.map { "\(folder)/\($0)" }
  }
}

extension ComparisonReport {
  /// Files that cannot be judged: the one that the error's sentence begins with, or else the first.
  static func unusable(_ files: [String], _ error: any Error) -> ComparisonReport {
    let sentence = MVARTool.describe(error)
    guard let file = files.first(where: { sentence.hasPrefix("\($0): ") }) else {
      return ComparisonReport(subject: files[0], problem: sentence)
    }
    return ComparisonReport(subject: file, problem: String(sentence.dropFirst(file.count + 2)))
  }
}

/// The check of one file, on any engine.
private struct FileCheck: EngineTask {
  let file: String
  let photos: String?
  let limits: BarOverride

  func run<B: Backend, D: EngineDevice>(on engine: B.Type, device: D) throws -> ComparisonReport
  where B.Device == D {
    try Verifier<B>(on: device, photos: photos, limits: limits).verify(file)
  }
}
