// A program that is run for the memory it takes: the peak of its resident set, read from the system while it runs.

import Foundation

/// Runs of a program whose memory is measured.
package enum MeasuredProgram {
  /// The result of a run.
  package struct Result {
    package let code: Int32
    /// The largest resident set in bytes; 0 where the system has no file for it.
    package let peakBytes: Int
  }

  /// Runs a program to completion, without its output.
  package static func run(_ program: String, _ arguments: [String], in folder: String) throws -> Result {
    let process = Process()
    process.executableURL = URL(filePath: program)
    process.arguments = arguments
    process.currentDirectoryURL = URL(filePath: folder)
    process.environment = ["PATH": "/usr/bin:/bin", "OPENBLAS_NUM_THREADS": "1"]
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    var peak = 0
    // The peak only grows, so the last reading is what counts; it comes at most a moment before the end.
    while process.isRunning {
      peak = max(peak, reading(of: process.processIdentifier))
      usleep(500)
    }
    process.waitUntilExit()
    return Result(code: process.terminationStatus, peakBytes: peak)
  }

  private static func reading(of process: Int32) -> Int {
    guard let text = try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8),
      let line = text.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") })
    else { return 0 }
    return (line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Int($0) } ?? 0) * 1024
  }
}
