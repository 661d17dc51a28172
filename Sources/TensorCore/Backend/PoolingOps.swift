// What convolutional networks that judge images need besides convolutions: rectification and pooling.
//
// It is a contract of its own and no part of `Backend`: no model here uses these operators, only the network that metrics
// look at images with, and that is never trained. So there are no gradients.

/// Rectification, and pooling over windows of maps [B, C, H, W].
public protocol PoolingOps: BackendTypes {
  /// max(x, 0); NaN stays NaN.
  static func relu(_ x: consuming Tensor<Self>) -> Tensor<Self>
  /// y[b, c, i, j] = the largest x[b, c, r, s] in the window of (i, j); NaN if one of them is NaN.
  ///
  /// - Parameters:
  ///   - x: [B, C, H, W]
  ///   - window: side, stride and padding; what lies outside the map is left out.
  /// - Returns: [B, C, H', W'] with H' = ⌊(H + 2·padding − side)/stride⌋ + 1
  static func maxPool(_ x: Tensor<Self>, _ window: PoolingWindow) -> Tensor<Self>
  /// y[b, c, i, j] = the mean of x[b, c, r, s] in the window of (i, j), divided by how many of its places lie on the map.
  ///
  /// - Parameters:
  ///   - x: [B, C, H, W]
  ///   - window: side, stride and padding; what lies outside the map is left out.
  /// - Returns: [B, C, H', W'] with H' = ⌊(H + 2·padding − side)/stride⌋ + 1
  static func averagePool(_ x: Tensor<Self>, _ window: PoolingWindow) -> Tensor<Self>
}

/// A square window that moves over a map.
public struct PoolingWindow: Hashable, Sendable {
  /// Rows and columns of the window.
  public let side: Int
  /// The step between neighboring windows.
  public let stride: Int
  /// How far the first window lies outside the map, above and left of it.
  public let padding: Int

  /// A window.
  ///
  /// - Precondition: side and stride are at least 1, and the padding is smaller than the side: no window is empty.
  public init(side: Int, stride: Int = 1, padding: Int = 0) {
    precondition(
      side >= 1 && stride >= 1 && padding >= 0 && padding < side,
      "a window of \(side), stride \(stride), padding \(padding)")
    (self.side, self.stride, self.padding) = (side, stride, padding)
  }

  /// How many windows a side of a map has.
  package func count(along length: Int) -> Int { (length + 2 * padding - side) / stride + 1 }

  /// The places of a side that the window with a number covers.
  package func places(of index: Int, along length: Int) -> Range<Int> {
    let first = index * stride - padding
    return max(first, 0)..<min(first + side, length)
  }

  /// [B, C, H', W'], checked: every window covers a part of the map.
  package func outputShape(_ name: String, _ x: Shape) -> Shape {
    precondition(
      x.rank == 4 && (2...3).allSatisfy { x[$0] >= 1 && x[$0] + 2 * padding >= side }, "\(name): x \(x), \(self)")
    let (height, width) = (count(along: x[2]), count(along: x[3]))
    precondition(
      (height - 1) * stride - padding < x[2] && (width - 1) * stride - padding < x[3], "\(name): x \(x), \(self)")
    return [x[0], x[1], height, width]
  }
}
