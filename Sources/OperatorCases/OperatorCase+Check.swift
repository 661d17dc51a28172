// Running a case on an engine and checking its results.
//
//     for operatorCase in OperatorCases.all { try operatorCase.check(on: MyEngine.self, device: device) }

import MVARComparison
import TensorCore

/// What an engine computes for a case, as values independent of the engine.
public struct OperatorResults: Sendable {
  /// The outputs, in their order.
  public let outputs: [Values]
  /// The gradients of the inputs, in their order; none where the operator has no backward.
  public let gradients: [Values]

  /// Bundles what an engine computed.
  public init(outputs: [Values], gradients: [Values]) {
    self.outputs = outputs
    self.gradients = gradients
  }
}

/// An engine computes something other than it should.
public struct OperatorMismatch: Error, CustomStringConvertible {
  /// The tensors that are too far off.
  public let findings: [Comparison]

  /// A line for each tensor.
  public var description: String { findings.map(\.description).joined(separator: "\n") }
}

extension OperatorCase {
  /// Runs forward and backward.
  ///
  /// - Parameters:
  ///   - engine: the engine's type.
  ///   - device: where it runs.
  ///   - given: the gradients of the outputs; random ones with a fixed seed if none are given.
  /// - Throws: what the engine throws when a transfer fails.
  public func run<B: Backend>(on engine: B.Type, device: B.Device, cotangents given: [Values]? = nil) throws
    -> OperatorResults
  {
    try run(on: engine, device: device, inputs: inputs, cotangents: given)
  }

  /// Runs forward and backward on inputs of the same shapes.
  ///
  /// - Parameters:
  ///   - cotangents: the gradients of the outputs; random ones with a fixed seed if none are given.
  ///   - precision: what those are rounded to, if none are given.
  /// - Throws: what the engine throws when a transfer fails.
  package func run<B: Backend>(
    on engine: B.Type, device: B.Device, inputs: [Values], cotangents given: [Values]? = nil,
    in precision: ComputedPrecision = .float32
  ) throws -> OperatorResults {
    let outcome = try apply(load(engine, on: device, inputs: inputs))
    let outputs = try outcome.outputs.map { try Values($0) }
    guard let backward = outcome.backward else { return OperatorResults(outputs: outputs, gradients: []) }
    let cotangents = given ?? cotangents(outputs.map(\.shape), in: precision)
    let gradients = try backward(try cotangents.map { try $0.tensor(engine, on: device) })
    return OperatorResults(outputs: outputs, gradients: try gradients.map { try Values($0) })
  }

  /// Compares every output and every gradient on an engine with the expected one.
  ///
  /// - Parameters:
  ///   - engine: the engine's type.
  ///   - device: where it runs.
  ///   - precision: what the engine computes in; by default the precision of its number type.
  /// - Throws: what the engine throws when a transfer fails.
  public func compare<B: Backend>(on engine: B.Type, device: B.Device, precision: ComputedPrecision? = nil) throws
    -> [Comparison]
  {
    let expectation = try expectation(precision ?? ComputedPrecision.of(engine))
    return compare(
      try run(on: engine, device: device, inputs: expectation.inputs, cotangents: expectation.cotangents),
      with: expectation)
  }

  /// Compares results with the expected ones.
  public func compare(_ results: OperatorResults, with expectation: OperatorExpectation) -> [Comparison] {
    let expected = expectation.tensors
    let found = results.outputs + results.gradients
    guard results.outputs.count == expectation.outputs.count, found.count == expected.count else {
      let bar = Bar.exact("every output and every gradient must be there")
      let counts = Values([Double(results.outputs.count), Double(results.gradients.count)], shape: [2])
      let right = Values([Double(expectation.outputs.count), Double(expectation.gradients.count)], shape: [2])
      return [Comparator.values("\(name), numbers of outputs and gradients", found: counts, expected: right, bar: bar)]
    }
    return zip(found, expected).map { found, expected in
      Comparator.values(
        "\(name), \(expected.name)", found: found, expected: expected.values, size: expected.size, bar: expected.bar)
    }
  }

  /// The outputs and gradients of an engine that are too far off.
  ///
  /// - Throws: what the engine throws when a transfer fails.
  public func findings<B: Backend>(on engine: B.Type, device: B.Device, precision: ComputedPrecision? = nil) throws
    -> [Comparison]
  {
    try compare(on: engine, device: device, precision: precision).filter { !$0.passes }
  }

  /// Checks an engine.
  ///
  /// - Throws: `OperatorMismatch` where an output or a gradient is too far off; what the engine throws when a transfer
  ///   fails.
  public func check<B: Backend>(on engine: B.Type, device: B.Device, precision: ComputedPrecision? = nil) throws {
    let findings = try findings(on: engine, device: device, precision: precision)
    if !findings.isEmpty { throw OperatorMismatch(findings: findings) }
  }
}
