// Where the programs, the peers and the prepared models are, and what the machine is.

import BenchReport
import Foundation

/// Everything that is the same for all works of a run.
struct Setting {
  let options: Options
  /// This package's programs.
  let workloads: String
  let mvar: String
  /// The interpreter with the peers; nil where there is none, and only this package is measured.
  let python: String?
  /// `peer.py`.
  let script: String
  /// Threads of each side.
  let threads: Int
  /// The folder for prepared models and results.
  let files: String
  private let isTemporary: Bool
  /// Where sides write their errors.
  let errors: FileHandle

  init(_ options: Options) throws {
    let environment = ProcessInfo.processInfo.environment
    guard let workloads = environment["WORKLOADS"], let mvar = environment["MVAR"],
      let peers = environment["PEERS"]
    else {
      throw BenchError("WORKLOADS, MVAR and PEERS are not set: call Benchmarks/run")
    }
    (self.options, self.workloads, self.mvar) = (options, workloads, mvar)
    python = environment["PYTHON"].flatMap { $0.isEmpty ? nil : $0 }
    script = peers + "/peer.py"
    threads = options.threads ?? ProcessInfo.processInfo.activeProcessorCount
    isTemporary = options.files == nil
    files =
      options.files
      ?? FileManager.default.temporaryDirectory.appending(path: "mvar-bench-\(UUID().uuidString)")
      .path(percentEncoded: false)
    try FileManager.default.createDirectory(atPath: files, withIntermediateDirectories: true)
    let log = files + "/errors.log"
    guard FileManager.default.createFile(atPath: log, contents: nil), let errors = FileHandle(forWritingAtPath: log)
    else { throw BenchError("\(log) cannot be written") }
    self.errors = errors
  }

  /// Removes what nobody asked to keep.
  func cleanUp() {
    if isTemporary { try? FileManager.default.removeItem(atPath: files) }
  }

  /// Reports progress.
  static func note(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }

  /// Prepares the models that peers load, unless an earlier run left them there.
  ///
  /// - Parameter part: checkpoints, openvino or onnx.
  /// - Throws: `BenchError` when that is impossible.
  func prepare(_ part: String) throws {
    guard let python else { return }
    let done = "\(files)/\(part).done"
    guard !FileManager.default.fileExists(atPath: done) else { return }
    Self.note("preparing \(part)")
    _ = try run(python, [script, "prepare", part, files])
    try Data().write(to: URL(filePath: done))
  }

  /// The machine and the versions, a line each.
  func machine() -> [String] {
    var lines = ["\(Self.processor()), \(threads) thread\(threads == 1 ? "" : "s")"]
    lines.append("mvar \((try? run(mvar, ["--version"]))?.output.trimmingCharacters(in: .newlines) ?? "?")")
    if let python {
      do {
        lines.append(try run(python, [script, "versions"]).output.trimmingCharacters(in: .newlines))
      } catch {
        lines.append("peers: \(error)")
      }
    } else {
      lines.append("no peers: PYTHON is not set")
    }
    return lines
  }

  /// The processor by name, family and model, which tell what a cloud's name for it does not.
  private static func processor() -> String {
    let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    func value(_ key: String) -> String? {
      text.split(separator: "\n").lazy.map { $0.split(separator: ":", maxSplits: 1) }
        .first { $0.count == 2 && $0[0].trimmingCharacters(in: .whitespaces) == key }?[1]
        .trimmingCharacters(in: .whitespaces)
    }
    guard let name = value("model name") else { return "an unknown processor" }
    let numbers = [("family", "cpu family"), ("model", "model")].compactMap { title, key in
      value(key).map { "\(title) \($0)" }
    }
    return ([name] + numbers).joined(separator: ", ")
  }
}
