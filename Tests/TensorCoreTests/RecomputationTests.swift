// Segments that run again in the backward: gradients have the same bits as without, whatever is shared between segments
// and what is outside; nothing of the inside is kept; gradients are handed out when they are complete.

import TensorCore
import Testing

private typealias Engine = CPU<Float>

/// What a gradient belongs to.
private final class Key {}

@Suite("recomputation") struct RecomputationTests {
  private let keys = (0..<3).map { _ in Key() }

  private func tensor(_ seed: UInt64, _ shape: Shape = [4, 24]) throws -> Tensor<Engine> {
    let stream = RandomStream(seed: seed, stream: 0)
    let numbers = (0..<shape.count).map { Float(2 * stream.uniform($0, purpose: .initialization) - 1) }
    return try Tensor(numbers, shape: shape, on: HostDevice())
  }

  /// Bits of the loss and of the gradients of three leaves that segments share with one another and with what is outside:
  /// x is used before, in and after all segments, w in two segments and outside, v twice in one segment.
  private func bits(_ segment: @escaping (Tape<Engine>, @escaping () -> [Variable<Engine>]) -> [Variable<Engine>])
    throws
    -> [[UInt32]]
  {
    let tape = Tape<Engine>()
    let x = tape.leaf(try tensor(1), key: keys[0])
    let weights = try (tensor(2, [24, 24]), tensor(3, [24, 24]))
    func w() -> Variable<Engine> { tape.leaf(weights.0, key: keys[1]) }
    func v() -> Variable<Engine> { tape.leaf(weights.1, key: keys[2]) }
    var y = x.linear(weight: w(), bias: nil).geluTanh()
    let first = y
    y = segment(tape) { [first.linear(weight: w(), bias: nil).geluTanh().linear(weight: v(), bias: nil) + x] }[0]
    let second = y
    // Two outputs, of which the second is used twice; and a segment within the segment.
    let both = segment(tape) {
      let inner = segment(tape) { [second.linear(weight: v(), bias: nil).silu() + first] }[0]
      return [inner.linear(weight: v(), bias: nil) + x, inner.linear(weight: w(), bias: nil)]
    }
    y = both[0] + both[1].silu() + both[1].linear(weight: w(), bias: nil) + x
    // Nothing depends on this one.
    _ = segment(tape) { [y.silu()] }
    let loss = y.silu().sum()
    let gradients = tape.gradients(of: loss, seed: Tensor(repeating: 1, shape: [1], on: HostDevice()))
    return try [loss.value.scalars().map(\.bitPattern)]
      + keys.map { try #require(gradients[$0]).scalars().map(\.bitPattern) }
  }

  @Test("gradients have the same bits")
  func same() throws {
    let expected = try bits { $1() }
    #expect(Set(expected[1...].flatMap { $0 }).count > 1000)
    #expect(try bits { $0.recomputed($1) } == expected)
  }

  @Test("a segment runs once forward and once backward, and not again if nothing depends on it")
  func runs() throws {
    let tape = Tape<Engine>()
    let x = tape.leaf(try tensor(1), key: keys[0])
    nonisolated(unsafe) var runs = [0, 0]
    func segment(_ index: Int, _ input: Variable<Engine>) -> Variable<Engine> {
      tape.recomputed {
        runs[index] += 1
        return [input.silu()]
      }[0]
    }
    let y = segment(0, x)
    _ = segment(1, y)
    #expect(runs == [1, 1] && y.needsGradient)
    _ = tape.gradients(of: y.sum(), seed: Tensor(repeating: 1, shape: [1], on: HostDevice()))
    #expect(runs == [2, 1])
  }

  @Test("a segment without parameters has no gradients, and a constant output none either")
  func constants() throws {
    let tape = Tape<Engine>()
    let constant = Variable<Engine>(try tensor(1), tape: tape)
    let x = tape.leaf(try tensor(2), key: keys[0])
    let parts = tape.recomputed { [constant.silu(), x.silu(), x] }
    let loss = (parts[0] + parts[1] + parts[2] + x).sum()
    let gradients = tape.gradients(of: loss, seed: Tensor(repeating: 1, shape: [1], on: HostDevice()))
    let plain = Tape<Engine>()
    let y = plain.leaf(try tensor(2), key: keys[0])
    let expected = plain.gradients(
      of: (y.silu() + y + y).sum(), seed: Tensor(repeating: 1, shape: [1], on: HostDevice()))
    #expect(try gradients[keys[0]]?.scalars() == expected[keys[0]]?.scalars())
  }

  @Test("only what a segment captures stays in memory")
  func memory() throws {
    // A megabyte each, which is more than other tests, at the same time, free of it.
    func kept(_ segment: (Tape<Engine>, @escaping () -> [Variable<Engine>]) -> [Variable<Engine>]) throws -> Int {
      final class Alive { weak var inside: HostBuffer<Float>? }
      let tape = Tape<Engine>()
      var x = tape.leaf(try tensor(1, [512, 512]), key: keys[0])
      var alive: [Alive] = []
      for _ in 0..<4 {
        let input = x
        let place = Alive()
        alive.append(place)
        x =
          segment(tape) {
            let inside = input.silu()
            place.inside = inside.value.storage
            return [inside.silu()]
          }[0]
      }
      defer { withExtendedLifetime((tape, x)) {} }
      return alive.count { $0.inside != nil }
    }
    #expect(try kept { $1() } == 4)
    #expect(try kept { $0.recomputed($1) } == 0)
  }

  @Test("a gradient is handed out once, as soon as nothing can be added to it")
  func order() throws {
    for recomputes in [false, true] {
      let tape = Tape<Engine>()
      // The first leaf is used last as well, so that its gradient is complete last.
      let first = tape.leaf(try tensor(1), key: keys[0])
      nonisolated(unsafe) var events: [String] = []
      func noted(_ name: String, _ x: Variable<Engine>) -> Variable<Engine> {
        .recorded(x.value, inputs: [x]) {
          events.append(name)
          return [$0]
        }
      }
      let y = noted("first", first.silu())
      let weight = try (tensor(2), tensor(3))
      func body(_ index: Int, _ x: Variable<Engine>) -> Variable<Engine> {
        noted("use \(index)", x + tape.leaf(index == 1 ? weight.0 : weight.1, key: keys[index]))
      }
      let z = recomputes ? tape.recomputed { [body(1, y)] }[0] : body(1, y)
      let last = (recomputes ? tape.recomputed { [body(2, z)] }[0] : body(2, z)) + first
      tape.propagate(from: last.sum(), seed: Tensor(repeating: 1, shape: [1], on: HostDevice())) { key, _ in
        events.append("leaf \(keys.firstIndex { $0 === key } ?? -1)")
      }
      // A leaf is made before the operator that uses it first.
      #expect(events == ["use 2", "leaf 2", "use 1", "leaf 1", "first", "leaf 0"])
    }
  }

  @Test("a leaf itself can be differentiated")
  func leaf() throws {
    let tape = Tape<Engine>()
    let x = tape.leaf(try tensor(1), key: keys[0])
    let seed = try tensor(2)
    #expect(try tape.gradients(of: x, seed: seed)[keys[0]]?.scalars() == seed.scalars())
  }
}
