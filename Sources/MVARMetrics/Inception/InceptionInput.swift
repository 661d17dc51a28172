// Images as the network takes them: resized to 299 × 299 as TensorFlow 1 resizes, then (x − 128)/128.
//
// Pixel i of the result is at i·in/299 of the image, without half-pixel centers, between ⌊·⌋ and the next pixel; positions
// are single precision, as there. Nothing is averaged where an image shrinks.

import Dispatch
import MVARMedia

/// Resizing and scaling of images for the network.
public enum InceptionInput {
  /// Rows and columns of the network's images.
  public static let side = 299
  /// The numbers of an image.
  package static let count = 3 * side * side

  /// Where the pixels of an axis come from.
  private struct Axis {
    let first: [Int]
    let second: [Int]
    let weight: [Float]

    init(_ length: Int) {
      let scale = Float(Double(length) / Double(side))
      let positions = (0..<side).map { Float($0) * scale }
      first = positions.map { min(Int($0), length - 1) }
      second = first.map { min($0 + 1, length - 1) }
      weight = zip(positions, first).map { $0 - Float($1) }
    }
  }

  /// Images → [N, 3, 299, 299], row-major.
  ///
  /// - Parameter images: of any sizes.
  public static func values(of images: [PixelImage]) -> [Float] {
    [Float](unsafeUninitializedCapacity: images.count * count) { buffer, initialized in
      nonisolated(unsafe) let target = buffer
      DispatchQueue.concurrentPerform(iterations: images.count) { index in
        let image = images[index]
        let part = UnsafeMutableBufferPointer(rebasing: target[index * count..<(index + 1) * count])
        image.pixels.withUnsafeBufferPointer { pixels in
          resize(pixels, width: image.width, height: image.height, pixelStep: 3, channelStep: 1, into: part)
        }
      }
      initialized = images.count * count
    }
  }

  /// Images with their channels apart, [N, 3, height, width] → [N, 3, 299, 299].
  package static func values(planar pixels: [UInt8], width: Int, height: Int) -> [Float] {
    let each = 3 * width * height
    let images = each == 0 ? 0 : pixels.count / each
    return [Float](unsafeUninitializedCapacity: images * count) { buffer, initialized in
      pixels.withUnsafeBufferPointer { pixels in
        for index in 0..<images {
          resize(
            UnsafeBufferPointer(rebasing: pixels[index * each..<(index + 1) * each]), width: width, height: height,
            pixelStep: 1, channelStep: width * height,
            into: UnsafeMutableBufferPointer(rebasing: buffer[index * count..<(index + 1) * count]))
        }
      }
      initialized = images * count
    }
  }

  /// One image; sample (row, column, channel) is at (row·width + column)·pixelStep + channel·channelStep.
  private static func resize(
    _ pixels: UnsafeBufferPointer<UInt8>, width: Int, height: Int, pixelStep: Int, channelStep: Int,
    into result: UnsafeMutableBufferPointer<Float>
  ) {
    let (rows, columns) = (Axis(height), Axis(width))
    for channel in 0..<3 {
      for i in 0..<side {
        let (upper, lower) = (rows.first[i] * width, rows.second[i] * width)
        let down = rows.weight[i]
        for j in 0..<side {
          let (left, right) = (columns.first[j], columns.second[j])
          func pixel(_ place: Int) -> Float { Float(pixels[place * pixelStep + channel * channelStep]) }
          let (upperLeft, lowerLeft) = (pixel(upper + left), pixel(lower + left))
          let above = upperLeft + (pixel(upper + right) - upperLeft) * columns.weight[j]
          let below = lowerLeft + (pixel(lower + right) - lowerLeft) * columns.weight[j]
          let value = above + (below - above) * down
          result[(channel * side + i) * side + j] = (value - 128) / 128
        }
      }
    }
  }
}
