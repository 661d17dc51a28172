// Runs `mvar golden run` on small kernels that the tests write: shell scripts, and C programs that are compiled here.

import Foundation
import MVARTestSupport
import Testing

/// `mvar golden run` on kernels of the tests.
enum KernelTool {
  /// The root of the package.
  static let package = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path(percentEncoded: false)

  /// A row of the JSON report.
  struct Row: Decodable {
    let name: String
    let verdict: String
    let cause: String?
    let remarks: [String]
    let bar: Bar?
    struct Bar: Decodable { let reason: String }
  }

  /// The JSON report.
  struct Document: Decodable {
    let reports: [Report]
    struct Report: Decodable {
      let subject: String
      let rows: [Row]
      let problem: String?
    }
    var rows: [Row] { reports.flatMap(\.rows) }
  }

  /// The result of a run: the program's, and the rows of its JSON file if it wrote one.
  struct Outcome {
    let result: Tool.Result
    let rows: [Row]

    /// The causes and remarks of all rows that failed.
    var failures: [String] {
      rows.filter { $0.verdict == "failed" }.map { ([$0.cause].compactMap { $0 } + $0.remarks).joined(separator: "; ") }
    }
    /// The names of all rows that failed.
    var failed: [String] { rows.filter { $0.verdict == "failed" }.map(\.name) }
  }

  /// Runs a kernel that is written in shell, `kernel.sh`; `$1` is the request and `$2` the answer.
  static func shell(
    _ script: String, operator name: String = "adaptiveLayerNorm", _ options: [String] = [], in folder: String
  ) throws -> Outcome {
    try script.write(toFile: "\(folder)/kernel.sh", atomically: true, encoding: .utf8)
    return try run(["--operator", name] + options + ["--", "/bin/sh", "kernel.sh"], in: folder)
  }

  /// Runs a kernel that is written in C.
  static func library(
    _ sources: [String], operator name: String = "adaptiveLayerNorm", _ options: [String] = [],
    environment: [String: String] = [:], in folder: String
  ) throws -> Outcome {
    try compile(sources, in: folder)
    return try run(["--operator", name] + options + ["--library", "kernel.so"], environment: environment, in: folder)
  }

  /// Runs `mvar golden run` with a JSON report.
  static func run(_ arguments: [String], environment: [String: String] = [:], in folder: String) throws -> Outcome {
    let json = "\(folder)/report.json"
    unlink(json)
    let variables = [
      "PATH": "/usr/bin:/bin", "TMPDIR": folder, "OPENBLAS_NUM_THREADS": "1",
    ].merging(environment) { _, new in new }
    let result = try BuiltProgram.run(
      Tool.program, ["golden", "run", "--json", json] + arguments, in: folder, environment: variables)
    let rows = try FileManager.default.contents(atPath: json).map {
      try JSONDecoder().decode(Document.self, from: $0).rows
    }
    // Nothing may stay behind, however the run ended.
    let left = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasPrefix("mvar-kernel-") }
    #expect(left.isEmpty)
    return Outcome(result: result, rows: rows ?? [])
  }

  /// Compiles C files to `kernel.so`.
  static func compile(_ sources: [String], in folder: String) throws {
    let include = "\(package)/Sources/MVARKernelABI/include"
    let result = try BuiltProgram.run(
      "/usr/bin/env",
      ["cc", "-O1", "-std=c99", "-shared", "-fPIC", "-I", include] + sources + ["-o", "kernel.so", "-lm"],
      in: folder, environment: ["PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"])
    try #require(result.code == 0, "\(result.errors)")
  }

  /// Writes a C file around the body of the kernel.
  ///
  /// - Parameter whenLoaded: what the library does while it is loaded.
  static func source(_ body: String, whenLoaded: String = "", in folder: String) throws -> String {
    let text = """
      #define _GNU_SOURCE
      #include <stdio.h>
      #include <stdlib.h>
      #include <unistd.h>
      #include "mvar_kernel.h"
      __attribute__((constructor)) static void load(void) { \(whenLoaded) }
      int mvar_kernel(const mvar_call *call) { (void)call; \(body) }
      """
    try text.write(toFile: "\(folder)/kernel.c", atomically: true, encoding: .utf8)
    return "kernel.c"
  }

  /// The C files of the example.
  static let example = ["kernel", "windowed_attention", "adaptive_layer_norm", "filter_logits"].map {
    "\(package)/Examples/Kernels/C/\($0).c"
  }
}
