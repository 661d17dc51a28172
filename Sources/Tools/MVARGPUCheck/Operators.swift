// `gpu-check operators`: every operator with every case of the tests, and the golden values, on the device.
//
// In single precision the bar is that of the tests: four times the error of plain loops in single precision, against plain
// loops in double. Products of rounded numbers err by more: by two roundings of what is summed, for which 16 roundings of
// the largest result are allowed here; sums are of some hundred terms. Other operators do not depend on the precision.

import ArgumentParser
import MVARCUDA
import OperatorCases
import TensorCore

extension CUDA: TestedBackend {
  /// The engine that is being checked, one at a time.
  nonisolated(unsafe) static var checked: CUDAEngine?

  /// Where cases put their tensors.
  package static var testDevice: CUDAEngine {
    guard let checked else { preconditionFailure("no engine is being checked") }
    return checked
  }
}

struct Operators: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Compare every operator on the device with plain loops, the CPU engine and golden values.")

  @OptionGroup var device: DeviceOptions
  @Option(help: "The file of golden values.") var golden: String?
  @Option(help: "Only cases whose name contains this.") var only = ""

  func run() throws {
    var failures: [String] = []
    for precision in device.precision {
      progress("operators in \(precision.rawValue)")
      CUDA.checked = try device.engine(precision)
      var families: [String: Family] = [:]
      var order: [String] = []
      for operation in OperatorCases.all where only.isEmpty || operation.name.contains(only) {
        let name = operation.name.split(separator: " ").first.map(String.init) ?? operation.name
        if precision != .float32, !Self.isProduct(name) { continue }
        if families[name] == nil { order.append(name) }
        do {
          try families[name, default: Family()].add(operation, precision)
        } catch {
          families[name, default: Family()].failures.append("\(operation.name): \(error)")
          // An engine that has failed does nothing more.
          CUDA.checked = try device.engine(precision)
        }
      }
      for name in order { families[name]?.report(name, device.title(precision)) }
      failures += families.values.flatMap(\.failures).map { "\(precision.rawValue): \($0)" }
      failures += try goldenFailures(precision)
    }
    CUDA.checked = nil
    for failure in failures { Measurement("Operators that failed", failure, "", "").report() }
    guard failures.isEmpty else { throw Failure("\(failures.count) comparisons failed") }
  }

  /// Whether an operator computes with rounded numbers where the precision says so; all others always do the same.
  private static func isProduct(_ name: String) -> Bool { name == "linear" || name.hasPrefix("conv") }

  private func goldenFailures(_ precision: CUDAEngine.Precision) throws -> [String] {
    guard let golden else { return [] }
    let file = try GoldenOperators(path: golden)
    var worst = (share: 0.0, name: "none")
    var failures: [String] = []
    for name in file.names where only.isEmpty || name.contains(only) {
      if precision != .float32, !Self.isProduct(name) { continue }
      for comparison in try file.compare(name, on: CUDA.self) {
        let allowed = comparison.tolerance.absolute + 16 * precision.rounding * comparison.expected.largest
        let error = difference(comparison.found, comparison.expected)
        if error / allowed > worst.share { worst = (error / allowed, comparison.name) }
        if error > allowed { failures.append("golden \(comparison.name): \(Amount.error(error))") }
      }
    }
    Measurement(
      "Operators, \(device.title(precision))", "golden values", "of the bar",
      "\(Amount.share(worst.share)) (\(worst.name))"
    ).report()
    return failures
  }
}

extension CUDAEngine.Precision {
  /// By how much rounding changes a number that a product is given, relative to it; 0 for not at all.
  var rounding: Double {
    switch self {
    case .float32: 0
    case .tf32: 0x1p-11
    case .bfloat16: 0x1p-9
    }
  }
}

/// The largest difference between two tensors; infinite where they have different shapes.
func difference(_ found: Values, _ expected: Values) -> Double {
  found.shape == expected.shape ? largestDifference(found.numbers, expected.numbers) : .infinity
}

/// The cases of one operator.
private struct Family {
  var cases = 0
  /// The largest error, relative to the size of what it is an error of; and that of the CPU engine.
  var error = 0.0
  var errorOfCPU = 0.0
  /// The largest share of what is allowed, and where.
  var share = 0.0
  var worst = ""
  var failures: [String] = []

  mutating func add(_ operation: some OperatorCase, _ precision: CUDAEngine.Precision) throws {
    cases += 1
    let twins = try operation.twins()
    let found = try operation.run(on: CUDA.self)
    let ofCPU = try operation.run(on: CPU<Float>.self)
    let (all, allOfCPU) = (found.outputs + found.gradients, ofCPU.outputs + ofCPU.gradients)
    guard all.count == twins.count, allOfCPU.count == twins.count else {
      throw Failure("\(all.count) results for \(twins.count)")
    }
    for (index, twin) in twins.enumerated() {
      let size = max(twin.size, Double(Float.leastNormalMagnitude))
      let allowed = twin.bar + 16 * precision.rounding * size
      let distance = difference(all[index], twin.truth)
      error = max(error, distance / size)
      errorOfCPU = max(errorOfCPU, difference(allOfCPU[index], twin.truth) / size)
      if distance / allowed > share { (share, worst) = (distance / allowed, "\(operation.name), \(twin.name)") }
      if distance > allowed {
        failures.append("\(operation.name), \(twin.name): \(Amount.error(distance)), allowed \(Amount.error(allowed))")
      }
    }
  }

  func report(_ name: String, _ title: String) {
    let section = "Operators, \(title)"
    Measurement(section, name, "cases", "\(cases)").report()
    Measurement(section, name, "relative error", Amount.error(error)).report()
    Measurement(section, name, "… of the CPU engine", Amount.error(errorOfCPU)).report()
    Measurement(section, name, "of the bar", "\(Amount.share(share)) (\(worst))").report()
  }
}
