// `gpu-check operators`: every operator with every case of the registry, and the golden values, on the device.
//
// In single precision the tolerance is that of the tests. Products of rounded values have larger errors, which the
// registry allows. Other operators do not depend on the precision, and are checked once.

import ArgumentParser
import MVARCUDA
import MVARTool
import MVARVerification
import OperatorCases
import TensorCore

struct Operators: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Compare every operator on the device with plain loops, the CPU engine and golden values.")

  @OptionGroup var device: DeviceOptions
  @Option(help: "The file of golden values.") var golden: String?
  @Option(help: "Only cases whose name contains this.") var only = ""

  func run() throws {
    var failures: [String] = []
    let launched = LaunchedKernels()
    for precision in device.precision {
      progress("operators in \(precision.rawValue)")
      var engine = try device.engine(precision, observer: launched.observer)
      var families: [String: Family] = [:]
      var order: [String] = []
      for operatorCase in OperatorCases.all where only.isEmpty || operatorCase.name.contains(only) {
        let name = operatorCase.operatorName
        if precision != .float32, !operatorCase.isProduct { continue }
        if families[name] == nil { order.append(name) }
        do {
          try families[name, default: Family()].add(operatorCase, on: engine, precision.computed)
        } catch {
          families[name, default: Family()].failures.append("\(operatorCase.name): \(error)")
          // An engine that has failed cannot be used any further.
          engine = try device.engine(precision, observer: launched.observer)
        }
      }
      for name in order { families[name]?.report(name, device.title(precision)) }
      failures += families.values.flatMap(\.failures).map { "\(precision.rawValue): \($0)" }
      failures += try goldenFailures(on: engine, precision)
      if precision == .float32, only.isEmpty || "pooling".contains(only) {
        failures += try PoolingCheck(engine: engine).failures(device.title(precision))
      }
    }
    if only.isEmpty { launched.report(device.products) }
    for failure in failures { Measurement("Operators that failed", failure, "", "").report() }
    guard failures.isEmpty else { throw Failure("\(failures.count) comparisons failed") }
  }

  private func goldenFailures(on engine: CUDAEngine, _ precision: CUDAEngine.Precision) throws -> [String] {
    guard let golden else { return [] }
    let file = try GoldenOperators(path: golden)
    var worst = (share: 0.0, name: "none")
    var failures: [String] = []
    for name in file.names where only.isEmpty || name.contains(only) {
      let golden = try file[name]
      if precision != .float32, !golden.operatorCase.isProduct { continue }
      for row in try golden.compare(on: CUDA.self, device: engine, precision: precision.computed) {
        if row.share > worst.share { worst = (row.share, row.name) }
        if !row.passes, row.verdict != .notInFile { failures.append("golden \(row)") }
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
  /// Its name in the registry.
  var computed: ComputedPrecision {
    switch self {
    case .float32: .float32
    case .tf32: .tf32
    case .bfloat16: .bfloat16
    }
  }
}

/// The cases of one operator.
private struct Family {
  var cases = 0
  /// The largest error, relative to the magnitude of the values compared; and that of the CPU engine.
  var error = 0.0
  var errorOfCPU = 0.0
  /// The largest fraction of the tolerance, and where.
  var share = 0.0
  var worst = ""
  var failures: [String] = []

  mutating func add(_ operatorCase: some OperatorCase, on engine: CUDAEngine, _ precision: ComputedPrecision) throws {
    cases += 1
    let expectation = try operatorCase.expectation(precision)
    let found = operatorCase.compare(try operatorCase.run(on: CUDA.self, device: engine), with: expectation)
    let ofCPU = operatorCase.compare(try operatorCase.run(on: CPU<Float>.self, device: HostDevice()), with: expectation)
    for comparison in found {
      error = max(error, comparison.relative)
      if comparison.share > share { (share, worst) = (comparison.share, comparison.name) }
      if !comparison.passes { failures.append("\(comparison)") }
    }
    errorOfCPU = max(errorOfCPU, ofCPU.map(\.relative).max() ?? 0)
  }

  func report(_ name: String, _ title: String) {
    let section = "Operators, \(title)"
    Measurement(section, name, "cases", "\(cases)").report()
    Measurement(section, name, "relative error", Amount.error(error)).report()
    Measurement(section, name, "… of the CPU engine", Amount.error(errorOfCPU)).report()
    Measurement(section, name, "of the bar", "\(Amount.share(share)) (\(worst))").report()
  }
}
