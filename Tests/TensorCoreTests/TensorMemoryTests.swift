// A tensor's memory as other packages see it, so with a plain `import TensorCore`: when it is not copied, whose memory
// is written, and how long it lives.

import TensorCore
import Testing

@Suite struct TensorMemoryTests {
  private typealias Fast = Tensor<CPU<Float>>
  private typealias Plain = Tensor<Reference<Double>>

  @Test("reading copies nothing: parts and other shapes lie in the same memory")
  func reading() throws {
    let x = try Fast((0..<24).map(Float.init), shape: [4, 6], on: HostDevice())
    let start = x.withUnsafeBufferPointer { $0.baseAddress }
    #expect(x.withUnsafeBufferPointer { $0.count } == 24)
    #expect(x.reshaped([2, 12]).withUnsafeBufferPointer { $0.baseAddress } == start)
    let rows = x.rows(1..<3)
    #expect(rows.withUnsafeBufferPointer { $0.baseAddress } == start.map { $0 + 6 })
    #expect(rows.withUnsafeBufferPointer { Array($0) } == (6..<18).map(Float.init))
    let copy = x
    #expect(copy.withUnsafeBufferPointer { $0.baseAddress } == start)

    let plain = try Plain([1, 2, 3], shape: [3], on: HostDevice())
    let place = plain.withUnsafeBufferPointer { $0.baseAddress }
    #expect(plain.reshaped([3, 1]).withUnsafeBufferPointer { $0.baseAddress } == place)
    let indices = try Indices<CPU<Float>>([4, 0, 7], shape: [3], on: HostDevice())
    #expect(indices.withUnsafeBufferPointer { Array($0) } == [4, 0, 7])
  }

  @Test("filling a new tensor, of no elements as well")
  func filling() throws {
    var place: UnsafeMutablePointer<Float>?
    let x = Fast(unsafeUninitializedShape: [2, 5], on: HostDevice()) { elements in
      place = elements.baseAddress
      for i in elements.indices { elements[i] = Float(i * i) }
    }
    #expect(x.withUnsafeBufferPointer { $0.baseAddress } == place.map { UnsafePointer($0) })
    #expect(try x.scalars() == [0, 1, 4, 9, 16, 25, 36, 49, 64, 81] && x.shape == [2, 5])
    let plain = Plain(unsafeUninitializedShape: [3], on: HostDevice()) { $0.update(repeating: 7) }
    #expect(try plain.scalars() == [7, 7, 7])

    var counts: [Int] = []
    let empty = Fast(unsafeUninitializedShape: [0, 4], on: HostDevice()) { counts.append($0.count) }
    empty.withUnsafeBufferPointer { counts.append($0.count) }
    Plain(unsafeUninitializedShape: [0], on: HostDevice()) { counts.append($0.count) }
      .withUnsafeBufferPointer { counts.append($0.count) }
    #expect(counts == [0, 0, 0, 0])

    struct Refusal: Error {}
    #expect(throws: Refusal.self) {
      _ = try Fast(unsafeUninitializedShape: [3], on: HostDevice()) { _ in throw Refusal() }
    }
  }

  @Test("changing: in place where nobody else holds the memory, otherwise in a copy")
  func changing() throws {
    var x = try Fast([1, 2, 3, 4], shape: [4], on: HostDevice())
    let start = x.withUnsafeBufferPointer { $0.baseAddress }
    x.withUnsafeMutableBufferPointer { $0[0] = 10 }
    #expect(x.withUnsafeBufferPointer { $0.baseAddress } == start, "it was the only owner")
    let before = x
    x.withUnsafeMutableBufferPointer { $0[1] = 20 }
    #expect(try x.scalars() == [10, 20, 3, 4] && before.scalars() == [10, 2, 3, 4])

    var part = x.rows(2..<4)
    part.withUnsafeMutableBufferPointer { $0[0] = 30 }
    #expect(try part.scalars() == [30, 4] && x.scalars() == [10, 20, 3, 4], "a part's memory is the whole's")

    var plain = try Plain([1, 2], shape: [2], on: HostDevice())
    let kept = plain
    plain.withUnsafeMutableBufferPointer { $0[1] = 5 }
    #expect(try plain.scalars() == [1, 5] && kept.scalars() == [1, 2])
  }

  @Test("a part keeps the whole's memory alive")
  func lifetime() throws {
    func part() throws -> Fast {
      try Fast((0..<100_000).map(Float.init), shape: [10, 10_000], on: HostDevice()).rows(9..<10)
    }
    let last = try part()
    // Freed memory would be used for these.
    let others = (0..<20).map { Fast(repeating: Float($0), shape: [100_000], on: HostDevice()) }
    #expect(
      last.withUnsafeBufferPointer { elements in elements.indices.allSatisfy { elements[$0] == Float(90_000 + $0) } })
    #expect(others.count == 20)
  }
}
