// The center crop that prepares an image for the model ("ADM crop", from guided diffusion): halve while it is at least
// twice the target size, resize the shorter side to n, keep the middle n × n. The result equals Pillow's byte for byte;
// image augmentation such as flips is not done here.

import MVARFiles

extension PixelImage {
  /// The center square of the image, `n` pixels on a side.
  ///
  /// While the shorter side is at least 2n both sides are halved with the box filter; then both are multiplied by
  /// n / shorter side, rounded half to even, with the bicubic filter; the square starts at ⌊(side − n) / 2⌋.
  ///
  /// - Parameters:
  ///   - n: the side of the result.
  ///   - order: which pass comes first; it matters only for images more than twice as tall as wide.
  /// - Throws: `FileError` when n × n is outside ``ImageLimits``.
  public func centerCrop(
    _ n: Int, order: ResamplingOrder = .pillow13
  ) throws(FileError) -> PixelImage {
    try ImageLimits.check(width: n, height: n, of: "the crop")
    var image = self
    while min(image.width, image.height) >= 2 * n {
      let (width, height) = (image.width / 2, image.height / 2)
      image = image.resampled(
        width: width, height: height, columns: 0..<width, rows: 0..<height, filter: .box, order: order)
    }
    let factor = Double(n) / Double(min(image.width, image.height))
    let width = Int((Double(image.width) * factor).rounded(.toNearestOrEven))
    let height = Int((Double(image.height) * factor).rounded(.toNearestOrEven))
    let (left, top) = ((width - n) / 2, (height - n) / 2)
    return image.resampled(
      width: width, height: height, columns: left..<(left + n), rows: top..<(top + n), filter: .bicubic, order: order)
  }
}
