// The metrics of a training run, one JSON object per line: `{"step":12,"loss":4.25}`, keys in the order given.
//
// Numbers are written as the shortest text that reads back as the same Double; NaN and infinities, which JSON lacks,
// become null and are read back as NaN. A crash can break only the last line, and only that is tolerated. It averages
// nothing.

import Foundation
import MVARCheckpoints
import MVARFiles

/// Writes and reads `metrics.jsonl`.
public final class MetricsLog {
  private let file: AppendedFile
  /// How many lines of the step that it continues after were found.
  let keptOfLastStep: Int

  /// Opens the log for appending.
  ///
  /// - Parameters:
  ///   - path: the file, usually `metrics.jsonl` in a ``RunFolder``; its folder must exist.
  ///   - step: nil starts an empty file. A number continues an existing file after that step: lines of later steps,
  ///     which the run is about to repeat, and a broken last line are removed atomically.
  /// - Throws: `FileError` when the file cannot be read or written, or a line other than the last is broken.
  public init(path: String, continuingAfter step: Int?) throws {
    var ofLastStep = 0
    if let step, let contents = try RegularFile.contentsIfPresent(of: path).map({ Data($0) }) {
      let lines = try MetricsLog.lines(of: contents, path: path)
      let kept = lines.filter { $0.step <= step }
      ofLastStep = kept.count { $0.step == step }
      let end = UInt8(ascii: "\n")
      let text = Data(kept.map(\.text).joined(separator: [end])) + (kept.isEmpty ? [] : [end])
      if text != contents {
        try FileReplacement.write(Array(text), to: path)
      }
    }
    keptOfLastStep = ofLastStep
    file = try AppendedFile(path, step == nil ? .emptying : .keeping)
  }

  /// Adds one line; it has been passed to the system when this returns.
  ///
  /// - Parameters:
  ///   - step: the number of optimizer steps done.
  ///   - values: names and numbers in the order of output; no name twice, none `step`.
  /// - Throws: `FileError` when the line cannot be written; the file then ends with the previous line.
  public func append(step: Int, _ values: [(String, Double)]) throws {
    precondition(!values.contains { $0.0 == "step" }, "the name step belongs to the step")
    var line = "{\"step\":\(step)"
    for (name, value) in values {
      line += ",\(JSONString.quoted(name)):\(value.isFinite ? "\(value)" : "null")"
    }
    try file.append(Array((line + "}\n").utf8))
  }

  /// All lines of a log in the file's order, in which each step follows the one before it.
  ///
  /// - Returns: each line's step and its other numbers; NaN stands for null.
  /// - Throws: `FileError` when the file does not exist or cannot be read, or a line before the last is not a record.
  public static func read(_ path: String) throws -> [(step: Int, values: [String: Double])] {
    try lines(of: Data(RegularFile.contents(of: path)), path: path).map { ($0.step, $0.values) }
  }

  private struct Line {
    var text: Data
    var step: Int
    var values: [String: Double]
  }

  private static func lines(of contents: Data, path: String) throws -> [Line] {
    guard !contents.isEmpty else { return [] }
    var pieces = contents.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    // What a crash cuts off has no end.
    let endsInBrokenLine = pieces.last?.isEmpty == false
    if !endsInBrokenLine { pieces.removeLast() }
    let decoder = JSONDecoder()
    var lines: [Line] = []
    lines.reserveCapacity(pieces.count)
    for (index, piece) in pieces.enumerated() {
      guard
        let object = try? decoder.decode([String: Double?].self, from: piece),
        let number = object["step"] ?? nil, let step = Int(exactly: number), step > 0
      else {
        if endsInBrokenLine, index == pieces.count - 1 { break }
        throw FileError(path, "line \(index + 1) is not an object of numbers with a step")
      }
      do {
        // A key that occurs twice, of which the decoder takes one.
        _ = try StrictJSON(parsing: ByteRegion(Array(piece)), subject: "line \(index + 1)", fractions: true)
      } catch let error as FileError {
        throw FileError(path, error.reason)
      }
      if let last = lines.last?.step, step != last, step != last + 1 {
        throw FileError(path, "line \(index + 1) is of step \(step), and the one before it of step \(last)")
      }
      var values = object.mapValues { $0 ?? .nan }
      values["step"] = nil
      lines.append(Line(text: piece, step: step, values: values))
    }
    return lines
  }
}
