// The tolerances for half-precision storage and for rounded factors: simulated kernels that round as the registry allows
// pass every case, and kernels with mistakes fail.

import Foundation
import OperatorCases
import TensorCore
import Testing

@Suite struct StoredPrecisionTests {
  static let stored: [ComputedPrecision] = [.bfloat16Storage, .float16Storage]

  // MARK: Formats

  @Test func roundingIsThatOfTheHardware() {
    var random = RandomValues(seed: 1)
    for exponent in -30...17 {
      for number in random.normal([64], deviation: exp2(Double(exponent))).numbers {
        #expect(StorageFormat.float16.rounded(number) == Double(Float16(number)))
        let bits = Float(number).bitPattern
        let even = Float(bitPattern: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) & 0xFFFF_0000)
        #expect(StorageFormat.bfloat16.rounded(number) == Double(even))
      }
    }
    #expect(StorageFormat.float16.rounded(65519) == 65504 && StorageFormat.float16.rounded(-65520) == -.infinity)
    #expect(StorageFormat.float16.rounded(0x1p-25) == 0 && StorageFormat.float16.rounded(0x1.8p-25) == 0x1p-24)
    #expect(StorageFormat.bfloat16.rounded(.infinity) == .infinity && StorageFormat.bfloat16.rounded(.nan).isNaN)
  }

  @Test func precisionsOfFiles() {
    let dtypes = ["float64", "float32", "tf32", "bfloat16", "float16", "int8"]
    #expect(
      dtypes.map { ComputedPrecision(dtype: $0) } == [
        .double, .float32, .tf32, .bfloat16Storage, .float16Storage, nil,
      ])
  }

  // MARK: Right kernels

  /// The steps that are followed are those of the operator: where nothing is rounded, its values result.
  @Test("Steps without rounding give the operator", arguments: OperatorCases.all)
  func exactSteps(operatorCase: any OperatorCase) throws {
    let expectation = try operatorCase.expectation(.double)
    var store = StoredSteps(.bfloat16, .exact)
    let results = operatorCase.stored(expectation, &store)
    for (found, expected) in zip(results.tensors, expectation.tensors) {
      // Values round to single precision.
      let limit = 1e-6 * expected.size + 1e-37
      #expect(
        zip(found.numbers, expected.values.numbers).allSatisfy { $0 == $1 || abs($0 - $1) <= limit },
        "\(operatorCase), \(expected.name)")
    }
  }

  @Test("Kernels that round as allowed pass", arguments: OperatorCases.all, stored)
  func rightKernels(operatorCase: any OperatorCase, precision: ComputedPrecision) throws {
    let (format, expectation) = (try #require(precision.storage), try operatorCase.expectation(precision))
    guard expectation.obstacle == nil else { return }
    for style in RoundingStyle.allCases {
      for comparison in operatorCase.compare(try style.run(operatorCase, expectation, format), with: expectation) {
        #expect(comparison.passes, "\(style): \(comparison)")
      }
    }
  }

  /// A kernel that returns zeros or the wrong sign fails wherever there is something to compute. The gradient of a logit
  /// scale is one sum over all tokens and channels, whose terms may cancel.
  @Test("No tolerance is as large as the values", arguments: OperatorCases.all, stored)
  func tolerancesAreTight(operatorCase: any OperatorCase, precision: ComputedPrecision) throws {
    let expectation = try operatorCase.expectation(precision)
    guard expectation.obstacle == nil else { return }
    for tensor in expectation.tensors where tensor.values.largest > 0.02 * tensor.size {
      let share = tensor.bar.limit(at: tensor.values.largest) / tensor.values.largest
      let most = tensor.name == "gradient of logitScale" ? 0.75 : 0.5
      #expect(share < most, "\(operatorCase), \(tensor.name): \(tensor.bar)")
    }
  }

  @Test func whatDoesNotFitIsLeftOut() throws {
    func obstacle(_ name: String, _ precision: ComputedPrecision) throws -> String? {
      try #require(OperatorCases.all.first { $0.name == name }, "\(name)").expectation(precision).obstacle
    }
    let large = try #require(try obstacle("sumOfSquares [70000]", .float16Storage))
    #expect(large.hasSuffix("do not fit float16, which ends at 65504.0"), "\(large)")
    #expect(try obstacle("sumOfSquares [70000]", .bfloat16Storage) == nil)
    #expect(try obstacle("l2Normalize clamped", .float16Storage) != nil)
    #expect(try obstacle("linear [3, 7] → 17", .float16Storage) == nil)
    #expect(try obstacle("recording, four runs", .bfloat16Storage)?.contains("several operators") == true)
    let left = try OperatorCases.all.filter { try $0.expectation(.float16Storage).obstacle != nil }
    #expect(left.count < OperatorCases.all.count / 10, "\(left.map(\.name))")
  }

  /// Inputs rounded to tf32 or bfloat16 before a product in double precision.
  @Test("Rounded factors pass", arguments: OperatorCases.all.filter(\.isProduct), [ComputedPrecision.tf32, .bfloat16])
  func roundedFactors(operatorCase: any OperatorCase, precision: ComputedPrecision) throws {
    let expectation = try operatorCase.expectation(precision)
    let found = try FactorRounding(precision).run(operatorCase, expectation)
    for comparison in operatorCase.compare(found, with: expectation) { #expect(comparison.passes, "\(comparison)") }
  }

  // MARK: Faults

  /// The cases of an operator together notice every mistake in every tensor.
  @Test("Mistakes are noticed", arguments: ToleranceTable.operators, ToleranceTable.precisions)
  func mistakes(operatorName: String, precision: ComputedPrecision) throws {
    let row = try ToleranceTable.row(operatorName, precision)
    #expect(row.right <= 1, "\(row)")
    for (fault, share) in row.faults {
      #expect(share > 1, "\(operatorName) in \(precision.rawValue): \(fault) uses \(share) of the bar")
    }
  }

  /// Writes the table if `MVAR_BARS_TABLE` names a file.
  @Test func table() throws {
    guard let path = ProcessInfo.processInfo.environment["MVAR_BARS_TABLE"] else { return }
    try ToleranceTable.markdown().write(toFile: path, atomically: true, encoding: .utf8)
  }
}
