// Φ(h) = ½h + ½·conv3×3(h): repairs the blur from resizing a coarse map to full size. K of them are distributed over
// the S scales.

import TensorCore

/// One Φ.
package struct Phi<B: Backend>: Sendable {
  let convolution: Convolution2D<B>

  init(_ builder: ParameterBuilder<B>, _ name: String, width: Int) {
    convolution = Convolution2D(builder, name, from: width, to: width)
  }

  /// [B, Z, P, P] → the same shape
  func callAsFunction(_ h: Variable<B>) -> Variable<B> {
    convolution(h).combined(times: 0.5, h, times: 0.5)
  }

  /// Which of `count` Φ a scale uses: the one whose tick is nearest to s/(S − 1), the first if two are equally near.
  ///
  /// Ticks are tick_j = a + j·((b − a)/(K − 1)) in double precision, a = 1/(3K) when K = 4 and 1/(2K) otherwise,
  /// b = 1 − a. With 7 and 10 scales there are ties in exact arithmetic, which the rounding of exactly this expression
  /// decides.
  package static func index(of scale: Int, scales: Int, count: Int) -> Int {
    if count == 1 { return 0 }
    let a = count == 4 ? 1.0 / 3.0 / Double(count) : 1.0 / 2.0 / Double(count)
    let b = 1 - a
    let step = (b - a) / Double(count - 1)
    let place = Double(scale) / Double(scales - 1)
    var nearest = 0
    var smallest = Double.infinity
    for j in 0..<count {
      // The last tick is exactly b, as in NumPy's linspace.
      let tick = j == count - 1 ? b : a + Double(j) * step
      if abs(tick - place) < smallest {
        smallest = abs(tick - place)
        nearest = j
      }
    }
    return nearest
  }
}
