// The optimizer around AdamW (whose arithmetic the golden files check): gradients accumulate, clipping covers all
// parameters together, parameters without a gradient are left alone, and gradients that are NaN change nothing.

import Foundation
import MVAR
import MVARTraining
import TensorCore
import Testing

@Suite("optimizer")
struct OptimizerTests {
  private typealias Engine = Reference<Double>

  private func parameter(_ name: String, _ values: [Double], _ shape: Shape = [2, 2]) throws -> Parameter<Engine> {
    Parameter(name: name, value: try Tensor(values, shape: shape, on: HostDevice()))
  }

  /// Adds a gradient that is `factor` for every element of a parameter.
  private func add(_ factor: Double, of parameter: Parameter<Engine>, to optimizer: Optimizer<Engine>) {
    let tape = Tape<Engine>()
    let loss = parameter.variable(tape).sum(times: factor)
    optimizer.add(tape.gradients(of: loss, seed: Tensor(repeating: 1, shape: [1], on: HostDevice())))
  }

  @Test("gradients of micro-batches add up")
  func accumulation() throws {
    let results = try [[0.5], [0.25, 0.125, 0.125]].map { parts in
      let weight = try parameter("a", [1, 2, 3, 4])
      let optimizer = Optimizer([weight])
      for part in parts { add(part, of: weight, to: optimizer) }
      #expect(try optimizer.gradientNorm() == 1)
      #expect(try optimizer.step(rate: 0.1, decay: 0.05) == 1)
      #expect(try optimizer.gradientNorm() == 0)
      #expect(optimizer.moments[0]?.steps == 1)
      return try weight.value.scalars()
    }
    #expect(results[0] == results[1])
    // β₁ and β₂ corrected, the first step is the rate, after the decay by 1 − 0.1·0.05.
    #expect(zip(results[0], [1, 2, 3, 4.0]).allSatisfy { abs($0 - ($1 * 0.995 - 0.1)) < 1e-7 })
  }

  @Test("one clip for all parameters")
  func clip() throws {
    let (first, second) = (try parameter("a", [0, 0, 0, 0]), try parameter("b", [0, 0, 0, 0]))
    let optimizer = Optimizer([first, second])
    add(3, of: first, to: optimizer)
    add(4, of: second, to: optimizer)
    #expect(try optimizer.step(rate: 0.1, decay: 0) == 10)
    // factor = 2/(10 + 1e-6); m = (1 − β₁)·g·factor
    let factor = 2 / (10 + 1e-6)
    for (index, gradient) in [(0, 3.0), (1, 4.0)] {
      let moments = try #require(optimizer.moments[index])
      #expect(try moments.first.scalars().allSatisfy { abs($0 - 0.1 * gradient * factor) < 1e-12 })
      #expect(try moments.second.scalars().allSatisfy { abs($0 - 0.05 * pow(gradient * factor, 2)) < 1e-12 })
    }
    let free = Optimizer([first], OptimizerSettings(clip: 0))
    add(300, of: first, to: free)
    #expect(try free.step(rate: 0.1, decay: 0) == 600)
    #expect(try free.moments[0]?.first.scalars().allSatisfy { abs($0 - 30) < 1e-12 } == true)
  }

  @Test("a parameter without a gradient is left alone altogether")
  func untouched() throws {
    let (first, second) = (try parameter("a", [1, 2, 3, 4]), try parameter("b", [5, 6, 7, 8]))
    let optimizer = Optimizer([first, second])
    for gradient in [1.0, -1] {
      add(gradient, of: first, to: optimizer)
      try optimizer.step(rate: 0.1, decay: 0.5)
    }
    #expect(optimizer.moments[0]?.steps == 2 && optimizer.moments[1] == nil)
    #expect(try second.value.scalars() == [5, 6, 7, 8])
    add(1, of: second, to: optimizer)
    try optimizer.step(rate: 0.1, decay: 0.5)
    #expect(optimizer.moments[0]?.steps == 2 && optimizer.moments[1]?.steps == 1)
    // Without any gradient, nothing happens.
    let before = try (first.value.scalars(), second.value.scalars())
    #expect(try optimizer.step(rate: 0.1, decay: 0.5) == 0)
    #expect(try first.value.scalars() == before.0 && second.value.scalars() == before.1)
  }

  @Test("gradients that are no numbers change nothing", arguments: [Double.nan, .infinity, -.infinity])
  func notNumbers(_ gradient: Double) throws {
    let (first, second) = (try parameter("a", [1, 2, 3, 4]), try parameter("b", [5, 6, 7, 8]))
    let optimizer = Optimizer([first, second])
    add(1, of: first, to: optimizer)
    try optimizer.step(rate: 0.1, decay: 0)
    let before = try first.value.scalars()
    add(gradient, of: first, to: optimizer)
    add(1, of: second, to: optimizer)
    #expect(try !optimizer.step(rate: 0.1, decay: 0.5).isFinite)
    #expect(try first.value.scalars() == before && second.value.scalars() == [5, 6, 7, 8])
    #expect(optimizer.moments[0]?.steps == 1 && optimizer.moments[1] == nil)
    // They are discarded: the next step is an ordinary one.
    add(1, of: second, to: optimizer)
    #expect(try optimizer.step(rate: 0.1, decay: 0) == 2)
  }

  @Test("what decays")
  func decays() throws {
    let rows: [(String, Shape, Bool)] = [
      ("blocks.0.attention.qkv.weight", [2, 2], true), ("classEmbedding.weight", [2, 2], true),
      ("blocks.0.attention.queryBias", [4], false), ("head.bias", [4], false), ("positions", [1, 2, 2], false),
      ("startPosition", [1, 1, 4], false), ("levelEmbedding.weight", [2, 2], false),
      ("blocks.0.modulationOffset", [1, 1, 4], false), ("blocks.0.attention.logitScale", [1, 4, 1, 1], false),
    ]
    for (name, shape, decays) in rows {
      let parameter = try parameter(name, [1, 2, 3, 4], shape)
      #expect(ParameterGroups.decays(parameter) == decays, "\(name)")
      let optimizer = Optimizer([parameter])
      add(0, of: parameter, to: optimizer)
      try optimizer.step(rate: 0.5, decay: 0.5)
      #expect(try parameter.value.scalars() == (decays ? [0.75, 1.5, 2.25, 3] : [1, 2, 3, 4]), "\(name)")
    }
  }
}
