// How much of the tolerance right kernels use, and how far beyond it kernels with mistakes are: per operator and
// precision.

import Foundation
import OperatorCases
import TensorCore

/// A kernel that rounds the factors of products, in double precision otherwise.
struct FactorRounding {
  let format: StorageFormat

  init(_ precision: ComputedPrecision) {
    format =
      precision == .bfloat16
      ? .bfloat16 : StorageFormat(name: "tf32", fractionBits: 10, smallestExponent: -126, largest: 0x1.ffcp127)
  }

  /// A bias is no factor.
  func run(_ operatorCase: any OperatorCase, _ expectation: OperatorExpectation) throws -> OperatorResults {
    let inputs = expectation.inputs.enumerated().map { $0 < 2 ? $1.rounded(to: format) : $1 }
    return try operatorCase.run(
      on: Reference<Double>.self, device: HostDevice(), inputs: inputs,
      cotangents: expectation.cotangents.map { $0.rounded(to: format) })
  }
}

enum ToleranceTable {
  static let precisions: [ComputedPrecision] = [.float32, .tf32, .bfloat16, .bfloat16Storage, .float16Storage]
  static let operators = Set(OperatorCases.all.filter { !$0.isComposite }.map(\.operatorName)).sorted()

  /// One operator in one precision.
  struct Row: CustomStringConvertible {
    let name: String
    let precision: ComputedPrecision
    var cases = 0
    var leftOut = 0
    /// The largest share of the bar that a right kernel uses, and where.
    var right = 0.0
    var place = ""
    /// The largest share of each mistake in each tensor over all cases: what makes the operator's check fail.
    var faults: [String: Double] = [:]
    /// How many mistakes single cases did not notice, and how many were made.
    var unnoticed = 0
    var made = 0

    var description: String { "\(name), \(precision.rawValue): \(right) of the bar (\(place))" }
    var smallest: (fault: String, share: Double)? {
      faults.min { ($0.value, $0.key) < ($1.value, $1.key) }.map { ($0.key, $0.value) }
    }
  }

  static func row(_ operatorName: String, _ precision: ComputedPrecision) throws -> Row {
    var row = Row(name: operatorName, precision: precision)
    for operatorCase in OperatorCases.all where operatorCase.operatorName == operatorName {
      if [.tf32, .bfloat16].contains(precision), !operatorCase.isProduct { continue }
      let expectation = try operatorCase.expectation(precision)
      row.cases += 1
      guard expectation.obstacle == nil else {
        row.leftOut += 1
        continue
      }
      let kernels = try rightKernels(operatorCase, expectation, precision)
      for comparison in kernels.flatMap({ operatorCase.compare($0, with: expectation) })
      where comparison.share > row.right {
        (row.right, row.place) = (comparison.share, comparison.name)
      }
      try addFaults(operatorCase, expectation, kernels[kernels.count - 1], &row)
    }
    return row
  }

  private static func rightKernels(
    _ operatorCase: any OperatorCase, _ expectation: OperatorExpectation, _ precision: ComputedPrecision
  ) throws -> [OperatorResults] {
    switch precision {
    case .bfloat16Storage, .float16Storage:
      try RoundingStyle.allCases.map { try $0.run(operatorCase, expectation, precision.storage!) }
    case .tf32, .bfloat16: [try FactorRounding(precision).run(operatorCase, expectation)]
    default: [try operatorCase.run(on: CPU<Float>.self, device: HostDevice())]
    }
  }

  private static func addFaults(
    _ operatorCase: any OperatorCase, _ expectation: OperatorExpectation, _ right: OperatorResults, _ row: inout Row
  ) throws {
    for (place, tensor) in right.tensors.enumerated() {
      for fault in TensorFault.allCases {
        // Where everything cancels, there is nothing to get wrong.
        let expected = expectation.tensors[place]
        guard expected.values.largest > 1e-3 * expected.size, let faulty = fault.apply(to: tensor) else { continue }
        note(
          operatorCase, expectation, right.replacing(place, with: faulty), "\(fault), \(expected.name)", &row)
      }
    }
    guard let format = row.precision.storage ?? (row.precision == .float32 ? .single : nil) else { return }
    for fault in KernelFault.allCases {
      if let faulty = try fault.run(operatorCase, expectation, right, format) {
        note(operatorCase, expectation, faulty, "\(fault)", &row)
      }
    }
  }

  private static func note(
    _ operatorCase: any OperatorCase, _ expectation: OperatorExpectation, _ faulty: OperatorResults, _ name: String,
    _ row: inout Row
  ) {
    let share = operatorCase.compare(faulty, with: expectation).map { $0.share.isNaN ? .infinity : $0.share }.max() ?? 0
    row.faults[name] = max(row.faults[name] ?? 0, share)
    row.made += 1
    if share <= 1 { row.unnoticed += 1 }
  }

  // MARK: Text

  static func markdown() throws -> String {
    var lines = [
      "| operator | precision | cases (left out) | right kernel, share of the bar | where | least noticed mistake "
        + "| its share | single cases that did not notice a mistake |",
      "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in operators {
      for precision in precisions {
        let row = try row(name, precision)
        guard row.cases > 0 else { continue }
        let smallest = row.smallest
        lines.append(
          "| \(name) | \(precision.rawValue) | \(row.cases) (\(row.leftOut)) | \(short(row.right)) | \(row.place) | "
            + "\(smallest?.fault ?? "none") | \(smallest.map { short($0.share) } ?? "") "
            + "| \(row.unnoticed) of \(row.made) |")
      }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private static func short(_ share: Double) -> String {
    share.isFinite ? String(format: "%.3g", share) : "∞"
  }
}

extension StorageFormat {
  /// Single precision, so that faulty kernels can be simulated in it as well.
  static let single = StorageFormat(
    name: "float32", fractionBits: 23, smallestExponent: -126, largest: Double(Float.greatestFiniteMagnitude))
}
