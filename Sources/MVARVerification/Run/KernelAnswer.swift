// What a kernel answered beside what it should have: one row per tensor. An answer is as hostile as any file: tensors may
// be missing, too many, or of another shape or type.

import Foundation
import MVARCheckpoints
import MVARComparison
import MVARFiles

/// What a library's host, which sees more than the tensors, adds to the metadata of an answer.
enum KernelNote {
  /// Something is wrong with a tensor as a whole; the tensor's name follows.
  static let problem = "problem."
  /// Something to say beside the result of the comparison; the tensor's name follows.
  static let remark = "remark."
}

/// How answers are judged.
package struct KernelJudgment: Sendable {
  /// Whether gradients may be missing.
  package var isForwardOnly = false
  /// Limits in the place of the bars' own.
  package var limits = BarOverride()

  /// The usual rules.
  package init() {}

  /// The rows of an answer.
  ///
  /// - Parameter path: the file that the kernel wrote.
  func rows(_ golden: GoldenCase, answer path: String) -> (rows: [Comparison], isTrusted: Bool) {
    let answer: Checkpoint
    do {
      guard FileManager.default.fileExists(atPath: path) else {
        return ([.failed(golden.name, "the kernel reported success and wrote no file")], false)
      }
      answer = try Checkpoint.open(path)
    } catch {
      return ([.failed(golden.name, "the file that the kernel wrote cannot be used: \(reason(error))")], false)
    }
    var rows = golden.parts.map { row($0, golden, answer) }
    let known = Set(golden.parts.map { ExactText($0.name) })
    for (name, _) in answer.tensors where !known.contains(ExactText(name)) {
      rows.append(.failed(golden.row(printable(name, limit: 200)), "the case has no such tensor"))
    }
    var hasProblem = false
    for (key, text) in answer.metadata.sorted(by: { $0.key < $1.key }) where key.hasPrefix(KernelNote.problem) {
      hasProblem = true
      let name = String(key.dropFirst(KernelNote.problem.count))
      if !known.contains(ExactText(name)) {
        rows.append(.failed(golden.row(printable(name, limit: 200)), printable(text, limit: 400)))
      }
    }
    return (rows, !hasProblem)
  }

  private func row(_ part: GoldenCase.Part, _ golden: GoldenCase, _ answer: Checkpoint) -> Comparison {
    let name = golden.row(part.name)
    guard part.isExpected else { return golden.row(part, found: nil) }
    if let problem = answer.metadata[KernelNote.problem + part.name] {
      return .failed(name, printable(problem, limit: 400))
    }
    let remark = answer.metadata[KernelNote.remark + part.name].map { printable($0, limit: 400) }
    guard let found = answer[part.name] else {
      if part.isGradient, isForwardOnly { return .notInFile(name) }
      return .failed(name, remark ?? "the kernel did not return it")
    }
    do {
      var comparison = try compare(found, with: part, of: golden)
      if let remark { comparison.remarks.append(remark) }
      return comparison
    } catch {
      return .failed(name, "cannot be read: \(reason(error))")
    }
  }

  private func compare(_ found: StoredTensor, with part: GoldenCase.Part, of golden: GoldenCase) throws -> Comparison {
    // The shape first: a file may claim any.
    guard found.shape == part.shape else {
      return .failed(golden.row(part.name), "shape \(found.shape), expected \(part.shape)")
    }
    guard part.isInteger || found.scalarType.isFloatingPoint else {
      return .failed(
        golden.row(part.name), "is stored as \(found.scalarType.rawValue), and must be of a floating-point type")
    }
    // A NaN has many forms, and one is enough to read.
    let numbers = try found.doubles().map { $0.isNaN ? .nan : $0 }
    return golden.row(part, found: ComparedValues(numbers, shape: found.shape), limits: limits)
  }

  /// The sentence without the temporary file's name.
  private func reason(_ error: any Error) -> String { (error as? FileError)?.reason ?? "\(error)" }
}
