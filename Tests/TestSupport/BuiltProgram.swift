// The programs of this package as a user runs them: as separate processes.

import Foundation

/// A program that was built with the tests.
package enum BuiltProgram {
  /// The path of a program, which is located beside the test bundle.
  package static func path(_ name: String) -> String {
    var places = [CommandLine.arguments[0], Bundle.main.bundlePath, Bundle.main.executablePath ?? ""]
    places += Bundle.allBundles.map(\.bundlePath)
    places += CommandLine.arguments.filter { $0.contains(".xctest") }
    for place in places {
      var folder = URL(filePath: place)
      while folder.path(percentEncoded: false) != "/" {
        folder = folder.deletingLastPathComponent().standardizedFileURL
        let candidate = folder.appending(path: name).path(percentEncoded: false)
        var isFolder: ObjCBool = false
        if FileManager.default.fileExists(atPath: candidate, isDirectory: &isFolder), !isFolder.boolValue {
          return candidate
        }
      }
    }
    fatalError("the program \(name) was not found beside the tests: \(places)")
  }

  /// The result of a run of a program.
  package struct Result {
    package let code: Int32
    package let wasKilled: Bool
    package let output: String
    package let errors: String
  }

  /// Runs a program to completion.
  ///
  /// - Parameters:
  ///   - program: its path
  ///   - folder: where it runs
  ///   - environment: all environment variables that it gets, besides those that choose OpenBLAS's kernels: it uses
  ///     those of this process, since others add in another order, and the bytes would differ.
  package static func run(
    _ program: String, _ arguments: [String], in folder: String, environment: [String: String]
  ) throws -> Result {
    // Files instead of pipes: nothing can block, whatever the program writes.
    let base = FileManager.default.temporaryDirectory.appending(path: "mvar-run-\(UUID().uuidString)")
      .path(percentEncoded: false)
    defer { for end in [".out", ".err"] { unlink(base + end) } }
    let handles = try [".out", ".err"].map { end in
      try Data().write(to: URL(filePath: base + end))
      return try FileHandle(forWritingTo: URL(filePath: base + end))
    }
    let process = Process()
    process.executableURL = URL(filePath: program)
    process.arguments = arguments
    process.currentDirectoryURL = URL(filePath: folder)
    let kernels = ProcessInfo.processInfo.environment.filter { $0.key.hasPrefix("OPENBLAS_") }
    process.environment = environment.merging(kernels) { given, _ in given }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = handles[0]
    process.standardError = handles[1]
    try process.run()
    process.waitUntilExit()
    return Result(
      code: process.terminationStatus, wasKilled: process.terminationReason == .uncaughtSignal,
      output: try String(contentsOfFile: base + ".out", encoding: .utf8),
      errors: try String(contentsOfFile: base + ".err", encoding: .utf8))
  }
}
