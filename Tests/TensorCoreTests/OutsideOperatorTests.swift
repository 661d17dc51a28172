// Differentiable operators of another package, so with a plain `import TensorCore`: with one output and with two, some
// of them unused, against finite differences.

import TensorCore
import Testing

private typealias Engine = CPU<Double>

/// What a gradient belongs to.
private final class Key {}

extension Variable where B == CPU<Double> {
  /// x², element by element: the example in the documentation.
  fileprivate func squared() -> Variable {
    let x = value
    let output = Tensor<B>(unsafeUninitializedShape: x.shape, on: x.device) { y in
      x.withUnsafeBufferPointer { x in for i in x.indices { y[i] = x[i] * x[i] } }
    }
    return .recorded(output, inputs: [self]) { dOutput in
      let dX = Tensor<B>(unsafeUninitializedShape: x.shape, on: x.device) { dX in
        x.withUnsafeBufferPointer { x in
          dOutput.withUnsafeBufferPointer { dY in for i in x.indices { dX[i] = 2 * x[i] * dY[i] } }
        }
      }
      return [dX]
    }
  }

  /// (x·y, x³·y²), element by element.
  ///
  /// - Parameter seen: gets, for each call of the pullback, which outputs had a gradient.
  fileprivate func products(_ other: Variable, seen: @escaping ([Bool]) -> Void = { _ in }) throws -> [Variable] {
    let (x, y, shape, device) = (try value.scalars(), try other.value.scalars(), value.shape, value.device)
    let outputs = [
      try Tensor<B>(zip(x, y).map { $0 * $1 }, shape: shape, on: device),
      try Tensor<B>(zip(x, y).map { $0 * $0 * $0 * $1 * $1 }, shape: shape, on: device),
    ]
    return Variable.recorded(outputs, inputs: [self, other]) { dOutputs in
      seen(dOutputs.map { $0 != nil })
      let zeros = [Double](repeating: 0, count: x.count)
      let first = dOutputs[0].map { $0.withUnsafeBufferPointer { Array($0) } } ?? zeros
      let second = dOutputs[1].map { $0.withUnsafeBufferPointer { Array($0) } } ?? zeros
      let dX = Tensor<B>(unsafeUninitializedShape: shape, on: device) { dX in
        for i in x.indices { dX[i] = first[i] * y[i] + second[i] * 3 * x[i] * x[i] * y[i] * y[i] }
      }
      let dY = Tensor<B>(unsafeUninitializedShape: shape, on: device) { dY in
        for i in x.indices { dY[i] = first[i] * x[i] + second[i] * 2 * x[i] * x[i] * x[i] * y[i] }
      }
      return [dX, other.needsGradient ? dY : nil]
    }
  }
}

@Suite struct OutsideOperatorTests {
  private let x = [0.5, -1.25, 2, 0.75, -0.3, 1.5]
  private let y = [1.5, 0.25, -0.5, -2, 0.8, 1]
  private let xKey = Key()
  private let yKey = Key()

  private func tensor(_ numbers: [Double]) throws -> Tensor<Engine> {
    try Tensor(numbers, shape: [2, 3], on: HostDevice())
  }

  /// A function's gradients against differences of ±1e-5, which err by 1e-10/6 times the third derivative: up to 1000 here, so
  /// 2e-8. A wrong term errs by far more than 1e-7.
  private func check(
    _ function: (Variable<Engine>, Variable<Engine>) throws -> Variable<Engine>,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let tape = Tape<Engine>()
    let output = try function(tape.leaf(try tensor(x), key: xKey), tape.leaf(try tensor(y), key: yKey))
    let gradients = tape.gradients(of: output, seed: Tensor(repeating: 1, shape: [1], on: HostDevice()))
    for (key, isX) in [(xKey, true), (yKey, false)] {
      let found = try gradients[key]?.scalars() ?? [Double](repeating: 0, count: x.count)
      for place in x.indices {
        func value(_ step: Double) throws -> Double {
          var (x, y) = (x, y)
          if isX { x[place] += step } else { y[place] += step }
          return try function(Variable(try tensor(x)), Variable(try tensor(y))).value.scalars()[0]
        }
        let slope = try (value(1e-5) - value(-1e-5)) / 2e-5
        #expect(abs(slope - found[place]) <= 1e-7, "\(isX ? "x" : "y") \(place)", sourceLocation: sourceLocation)
      }
    }
  }

  @Test("one output")
  func oneOutput() throws {
    try check { x, y in (x.squared() + y.squared().squared()).sum() }
    try check { x, _ in x.squared().geluTanh().squared().sum() }
  }

  @Test("two outputs: both used, one used, one used twice, inputs that are the same")
  func twoOutputs() throws {
    try check { x, y in
      let both = try x.products(y)
      return (both[0].squared() + both[1]).sum()
    }
    try check { x, y in try x.products(y)[0].sum() }
    try check { x, y in try x.products(y)[1].sum() }
    try check { x, y in
      let both = try x.products(y)
      let more = try x.products(both[0])
      return (both[1] + both[1].squared() + more[1]).sum()
    }
    try check { x, _ in
      let both = try x.products(x)
      return (both[0] + both[1]).sum()
    }
  }

  @Test("an output that nothing depends on has no gradient; the pullback runs once, or not at all")
  func unused() throws {
    let tape = Tape<Engine>()
    let leaf = tape.leaf(try tensor(x), key: xKey)
    nonisolated(unsafe) var calls: [[Bool]] = []
    let constant = Variable<Engine>(try tensor(y))
    #expect(leaf.needsGradient && !constant.needsGradient)
    let parts = try leaf.products(constant) { calls.append($0) }
    _ = try leaf.products(constant) { _ in Issue.record("nothing depends on these") }
    let loss = (parts[1] + parts[1].squared()).sum()
    let gradients = tape.gradients(of: loss, seed: Tensor(repeating: 1, shape: [1], on: HostDevice()))
    #expect(calls == [[false, true]])
    #expect(gradients[xKey] != nil && gradients[yKey] == nil)
  }

  @Test("without a tape, or of constants, nothing is recorded")
  func constants() throws {
    let alone = try Variable<Engine>(try tensor(x)).products(Variable(try tensor(y))) { _ in Issue.record("called") }
    #expect(alone.allSatisfy { $0.tape == nil && !$0.needsGradient })
    let tape = Tape<Engine>()
    let held = try Variable(try tensor(x), tape: tape).products(Variable(try tensor(y))) { _ in Issue.record("called") }
    #expect(held.allSatisfy { $0.tape === tape && !$0.needsGradient })
    #expect(try held[0].value.scalars() == zip(x, y).map { $0 * $1 })
  }
}
