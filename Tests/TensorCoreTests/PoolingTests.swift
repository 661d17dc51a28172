// Rectification and pooling on both engines of this process: against each other, NaN, and windows that reach over the border.

import MVARTestSupport
import TensorCore
import Testing

@Suite struct PoolingTests {
  private static let windows = [
    PoolingWindow(side: 3, stride: 2), PoolingWindow(side: 3, padding: 1), PoolingWindow(side: 1),
    PoolingWindow(side: 2, stride: 3, padding: 1), PoolingWindow(side: 4, stride: 1, padding: 3),
  ]

  @Test("Both engines agree", arguments: windows, [[1, 1, 4, 4], [2, 3, 7, 5], [1, 33, 17, 19], [3, 2, 5, 40]])
  func twins(_ window: PoolingWindow, _ shape: [Int]) throws {
    var random = RandomValues(seed: 3)
    let values = random.normal(Shape(shape))
    let exact = try values.tensor(Reference<Double>.self)
    let fast = try values.tensor(CPU<Float>.self)
    let most = Reference<Double>.maxPool(exact, window)
    #expect(try CPU<Double>.maxPool(values.tensor(CPU<Double>.self), window).scalars() == most.storage)
    #expect(try CPU<Float>.maxPool(fast, window).scalars() == most.storage.map { Float($0) })
    let mean = Reference<Double>.averagePool(exact, window)
    let found = CPU<Float>.averagePool(fast, window)
    #expect(found.shape == mean.shape)
    for (a, b) in zip(try found.scalars(), mean.storage) { #expect(abs(Double(a) - b) < 1e-6) }
    #expect(try CPU<Float>.relu(fast).scalars() == Reference<Double>.relu(exact).storage.map { Float($0) })
  }

  @Test("What lies outside the map is left out")
  func borders() throws {
    let x = try Tensor<CPU<Float>>([-1, -2, -3, -4], shape: [1, 1, 2, 2], on: HostDevice())
    let window = PoolingWindow(side: 3, padding: 1)
    #expect(try CPU<Float>.averagePool(x, window).scalars() == [-2.5, -2.5, -2.5, -2.5])
    #expect(try CPU<Float>.maxPool(x, window).scalars() == [-1, -1, -1, -1])
    let corners = PoolingWindow(side: 2, stride: 2, padding: 1)
    #expect(try CPU<Float>.averagePool(x, corners).scalars() == [-1, -2, -3, -4])
  }

  @Test("NaN stays NaN, wherever it is in a window")
  func notANumber() throws {
    for place in 0..<9 {
      var values = [Float](repeating: 1, count: 9)
      values[place] = .nan
      let x = try Tensor<CPU<Float>>(values, shape: [1, 1, 3, 3], on: HostDevice())
      let plain = try Tensor<Reference<Float>>(values, shape: [1, 1, 3, 3], on: HostDevice())
      let window = PoolingWindow(side: 3)
      #expect(try CPU<Float>.maxPool(x, window).scalars()[0].isNaN)
      #expect(try Reference<Float>.maxPool(plain, window).scalars()[0].isNaN)
      #expect(try CPU<Float>.averagePool(x, window).scalars()[0].isNaN)
      #expect(try CPU<Float>.relu(x).scalars()[place].isNaN)
      #expect(try Reference<Float>.relu(plain).scalars()[place].isNaN)
    }
  }
}
