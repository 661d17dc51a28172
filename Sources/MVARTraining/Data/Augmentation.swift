// Varies an image slightly each time: mirrored, or shifted by a few pixels with its border repeated. What happens to a
// sample is a pure function of the seed and the sample's number, never of threads or of the batch's other samples. No
// color changes, no scaling: the tokenizer has to reproduce exactly what it is shown.

import TensorCore

/// Random flips and shifts.
public struct Augmentation: Sendable, Equatable {
  /// Whether half of the images, chosen at random, are mirrored left to right.
  public var flips: Bool
  /// The largest shift of an image in pixels, in each of the four directions.
  public var shift: Int
  /// Labels whose images are never mirrored, for example letters.
  public var unflippable: Set<Int>

  /// This type's positions in the random stream of a sample; lower ones are used for label dropping.
  private enum Place {
    static let flip = 16
    static let horizontal = 17
    static let vertical = 18
  }

  /// An augmentation; the default does nothing.
  ///
  /// - Parameters:
  ///   - flips: whether half of the images are mirrored.
  ///   - shift: the largest shift in pixels along each axis, at least 0.
  ///   - unflippable: labels that are never mirrored.
  public init(flips: Bool = false, shift: Int = 0, unflippable: Set<Int> = []) {
    precondition(shift >= 0 && shift <= 1 << 20, "a shift of \(shift) pixels")
    self.flips = flips
    self.shift = shift
    self.unflippable = unflippable
  }

  /// The random choices for a sample.
  ///
  /// - Parameters:
  ///   - label: the class of the image.
  ///   - stream: the stream whose number is that of the sample.
  /// - Returns: whether it is mirrored, and how many pixels it is then shifted to the right and down.
  public func plan(label: Int, stream: RandomStream) -> (flip: Bool, dx: Int, dy: Int) {
    func offset(_ place: Int) -> Int {
      guard shift > 0 else { return 0 }
      let width = 2 * shift + 1
      return min(Int(stream.uniform(place, purpose: .regularization) * Double(width)), width - 1) - shift
    }
    let flip =
      flips && !unflippable.contains(label) && stream.uniform(Place.flip, purpose: .regularization) < 0.5
    return (flip, offset(Place.horizontal), offset(Place.vertical))
  }

  /// The image of a sample with its random choices applied.
  ///
  /// - Parameters:
  ///   - pixels: [side, side, 3], interleaved.
  ///   - side: rows and columns.
  ///   - label: the class of the image.
  ///   - stream: the stream whose number is that of the sample.
  /// - Returns: [side, side, 3].
  public func apply(_ pixels: [UInt8], side: Int, label: Int, stream: RandomStream) -> [UInt8] {
    let (flip, dx, dy) = plan(label: label, stream: stream)
    return Self.moved(pixels, side: side, flip: flip, dx: dx, dy: dy)
  }

  /// An image mirrored and then shifted: `result[y, x] = source[clamp(y − dy), clamp(x − dx)]`.
  package static func moved(_ pixels: [UInt8], side: Int, flip: Bool, dx: Int, dy: Int) -> [UInt8] {
    precondition(pixels.count == 3 * side * side, "\(pixels.count) bytes for an image of side \(side)")
    if !flip && dx == 0 && dy == 0 { return pixels }
    let columns = (0..<side).map { x in
      let source = min(max(x - dx, 0), side - 1)
      return 3 * (flip ? side - 1 - source : source)
    }
    var result: [UInt8] = []
    result.reserveCapacity(pixels.count)
    for y in 0..<side {
      let row = 3 * side * min(max(y - dy, 0), side - 1)
      for column in columns {
        result.append(pixels[row + column])
        result.append(pixels[row + column + 1])
        result.append(pixels[row + column + 2])
      }
    }
    return result
  }
}
