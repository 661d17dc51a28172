// Rectification and pooling on the device. Only the network of metrics needs them, so that they are no operators of the
// registry; the comparison of operators checks them all the same.

import MVARCUDA
import TensorCore

/// The operators of `PoolingOps` beside plain loops.
struct PoolingCheck {
  /// The largest difference of a mean; the others have to be the same numbers.
  private static let bar: Float = 1e-6

  let engine: CUDAEngine

  /// Compares windows of any side, stride and padding, and reports how many.
  ///
  /// - Returns: what differs.
  func failures(_ title: String) throws -> [String] {
    var failures: [String] = []
    var (cases, worst) = (0, Float(0))
    let windows = [
      PoolingWindow(side: 3, stride: 2), PoolingWindow(side: 3, padding: 1),
      PoolingWindow(side: 2, stride: 3, padding: 1),
    ]
    for shape in [[1, 1, 3, 3], [2, 3, 17, 12], [1, 64, 35, 35]] as [Shape] {
      let stream = RandomStream(seed: 1, stream: UInt64(shape.count))
      let values = (0..<shape.count).map { Float(2 * stream.uniform($0, purpose: .shuffling) - 1) }
      let x = try Tensor<CUDA>(values, shape: shape, on: engine)
      let plain = try Tensor<Reference<Float>>(values, shape: shape, on: HostDevice())
      cases += 1
      if try CUDA.relu(x).scalars() != Reference<Float>.relu(plain).scalars() { failures.append("relu \(shape)") }
      for window in windows {
        cases += 2
        if try CUDA.maxPool(x, window).scalars() != Reference<Float>.maxPool(plain, window).scalars() {
          failures.append("maxPool \(shape), \(window)")
        }
        let pairs = zip(
          try CUDA.averagePool(x, window).scalars(), try Reference<Float>.averagePool(plain, window).scalars())
        // NaN is no small difference.
        let difference = pairs.reduce(Float(0)) { most, pair in
          let error = abs(pair.0 - pair.1)
          return error <= most ? most : error
        }
        worst = max(worst, difference)
        if !(difference <= Self.bar) { failures.append("averagePool \(shape), \(window): differs by \(difference)") }
      }
    }
    Measurement("Operators, \(title)", "pooling", "cases", "\(cases)").report()
    Measurement("Operators, \(title)", "pooling", "largest difference", Amount.error(Double(worst))).report()
    return failures
  }
}
