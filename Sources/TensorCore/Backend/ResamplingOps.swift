// Resizing maps: area (adaptive average pooling), bicubic, and doubling by repetition.
//
// The first two are separable and linear: output i of an axis is a short weighted sum of inputs. `ResamplingTaps` holds
// the sums for one axis, and the backward scatters with the same weights.

/// Resampling of maps [B, C, H, W].
public protocol ResamplingOps: BackendTypes {
  /// Adaptive average pooling: output i averages inputs ⌊i·n/m⌋ … ⌈(i+1)·n/m⌉ − 1 of each axis.
  ///
  /// - Returns: [B, C, height, width]
  static func areaResize(_ x: Tensor<Self>, height: Int, width: Int) -> Tensor<Self>
  /// The gradient of `areaResize` for inputs of the given size.
  static func dAreaResize(_ dOutput: Tensor<Self>, height: Int, width: Int) -> Tensor<Self>

  /// Bicubic interpolation, a = −0.75, half-pixel centers, borders replicated, no antialiasing.
  ///
  /// - Returns: [B, C, height, width]
  static func bicubicResize(_ x: Tensor<Self>, height: Int, width: Int) -> Tensor<Self>
  /// The gradient of `bicubicResize` for inputs of the given size.
  static func dBicubicResize(_ dOutput: Tensor<Self>, height: Int, width: Int) -> Tensor<Self>

  /// Every pixel repeated twice in both directions: [B, C, H, W] → [B, C, 2H, 2W].
  static func upsampleNearest(_ x: Tensor<Self>) -> Tensor<Self>
  /// The gradient of `upsampleNearest`: the sum over each 2 × 2 square.
  static func dUpsampleNearest(_ dOutput: Tensor<Self>) -> Tensor<Self>
}

/// The weighted sums that resample one axis: output i = Σⱼ weights[i][j]·input[places[i][j]].
package struct ResamplingTaps: Sendable {
  /// For each output, the inputs it reads; an index may occur twice at a border.
  package let places: [[Int]]
  /// For each output, the weight of each of those inputs.
  package let weights: [[Double]]

  /// Adaptive average pooling from `size` to `newSize`.
  package static func area(from size: Int, to newSize: Int) -> ResamplingTaps {
    let ranges = (0..<newSize).map { (i: Int) -> Range<Int> in
      (i * size / newSize)..<(((i + 1) * size + newSize - 1) / newSize)
    }
    return ResamplingTaps(
      places: ranges.map { Array($0) },
      weights: ranges.map { [Double](repeating: 1 / Double($0.count), count: $0.count) })
  }

  /// Bicubic interpolation, a = −0.75, from `size` to `newSize`.
  package static func bicubic(from size: Int, to newSize: Int) -> ResamplingTaps {
    let a = -0.75
    // The kernel for distances up to 1, and for those between 1 and 2.
    func near(_ t: Double) -> Double { ((a + 2) * t - (a + 3)) * t * t + 1 }
    func far(_ t: Double) -> Double { ((a * t - 5 * a) * t + 8 * a) * t - 4 * a }
    var places: [[Int]] = []
    var weights: [[Double]] = []
    for i in 0..<newSize {
      let source = (Double(i) + 0.5) * Double(size) / Double(newSize) - 0.5
      let below = source.rounded(.down)
      let t = source - below
      places.append((-1...2).map { min(max(Int(below) + $0, 0), size - 1) })
      weights.append([far(t + 1), near(t), near(1 - t), far(2 - t)])
    }
    return ResamplingTaps(places: places, weights: weights)
  }
}
