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
  /// The bar of a tensor, given the one of the case.
  package var bar: @Sendable (MVARComparison.Bar) -> MVARComparison.Bar = { $0 }

  /// The usual rules.
  package init() {}

  /// The rows of an answer.
  ///
  /// - Parameter path: the file that the kernel wrote.
  func rows(_ kernelCase: KernelCase, answer path: String) -> (rows: [Comparison], isTrusted: Bool) {
    let answer: Checkpoint
    do {
      guard FileManager.default.fileExists(atPath: path) else {
        return ([.failed(kernelCase.name, "the kernel reported success and wrote no file")], false)
      }
      answer = try Checkpoint.open(path)
    } catch {
      return ([.failed(kernelCase.name, "the file that the kernel wrote cannot be used: \(reason(error))")], false)
    }
    var rows = kernelCase.expected.map { row($0, kernelCase, answer) }
    let known = Set(kernelCase.expected.map(\.name))
    for (name, _) in answer.tensors where !known.contains(name) {
      rows.append(.failed(kernelCase.row(printable(name, limit: 200)), "the case has no such tensor"))
    }
    var hasProblem = false
    for (key, text) in answer.metadata.sorted(by: { $0.key < $1.key }) where key.hasPrefix(KernelNote.problem) {
      hasProblem = true
      let name = String(key.dropFirst(KernelNote.problem.count))
      if !known.contains(name) {
        rows.append(.failed(kernelCase.row(printable(name, limit: 200)), printable(text, limit: 400)))
      }
    }
    return (rows, !hasProblem)
  }

  private func row(_ expected: KernelCase.Expected, _ kernelCase: KernelCase, _ answer: Checkpoint) -> Comparison {
    let name = kernelCase.row(expected.name)
    if let problem = answer.metadata[KernelNote.problem + expected.name] {
      return .failed(name, printable(problem, limit: 400))
    }
    guard let found = answer[expected.name] else {
      if expected.isGradient, isForwardOnly { return .notInFile(name) }
      let remark = answer.metadata[KernelNote.remark + expected.name].map { printable($0, limit: 400) }
      return .failed(name, remark ?? "the kernel did not return it")
    }
    do {
      var comparison = try compare(name, found, expected)
      if let remark = answer.metadata[KernelNote.remark + expected.name] {
        comparison.remarks.append(printable(remark, limit: 400))
      }
      return comparison
    } catch {
      return .failed(name, "cannot be read: \(reason(error))")
    }
  }

  private func compare(_ name: String, _ found: StoredTensor, _ expected: KernelCase.Expected) throws -> Comparison {
    // The shape first: a file may claim any.
    guard found.shape == expected.shape else {
      return .failed(name, "shape \(found.shape), expected \(expected.shape)")
    }
    switch expected.numbers {
    case .integers(let integers):
      return Comparator.integers(name, found: try found.integers(), expected: integers, shape: expected.shape)
    case .real(let numbers):
      guard found.scalarType.isFloatingPoint else {
        return .failed(name, "is stored as \(found.scalarType.rawValue), and must be of a floating-point type")
      }
      return Comparator.values(
        name, found: ComparedValues(try found.doubles(), shape: found.shape),
        expected: ComparedValues(numbers, shape: expected.shape), bar: bar(expected.bar))
    }
  }

  /// The sentence without the temporary file's name.
  private func reason(_ error: any Error) -> String { (error as? FileError)?.reason ?? "\(error)" }
}
