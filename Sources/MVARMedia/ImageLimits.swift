// How large an image may be: the limits that are checked before any memory is allocated. They keep a few bytes of a
// hostile header from allocating gigabytes; they say nothing about what a model accepts.

import MVARFiles

/// The largest images this module handles.
public enum ImageLimits {
  /// The longest side, in pixels.
  public static let side = 65_535

  /// The most pixels in one image: 2²⁷, which is 384 MiB of RGB bytes.
  public static let pixelCount = 1 << 27

  /// The most pixels that a file may have whose bytes are too few for them: 2²⁴, which is 48 MiB. Damaged files may lack
  /// most of their pixels; larger claims are checked before memory is allocated.
  static let unprovenPixelCount = 1 << 24

  /// The most bytes in a file that is read: 1 GiB, far more than any image within these limits that compresses at all.
  static let fileSize = 1 << 30

  /// Checks a size that came from a file or a caller.
  ///
  /// - Parameters:
  ///   - width: columns of pixels.
  ///   - height: rows of pixels.
  ///   - subject: the subject of the error's sentence.
  /// - Throws: `FileError` when a side is below 1 or above ``side``, or the product is above ``pixelCount``.
  public static func check(width: Int, height: Int, of subject: String) throws(FileError) {
    if width < 1 || height < 1 {
      throw FileError(subject, "is \(width) × \(height) pixels, and a side cannot be below 1")
    }
    if width > side || height > side {
      throw FileError(subject, "is \(width) × \(height) pixels, and the limit is \(side) a side")
    }
    if width * height > pixelCount {  // cannot overflow: both sides are at most `side`
      throw FileError(subject, "is \(width) × \(height) pixels, and the limit is \(pixelCount) pixels in all")
    }
  }

  /// Checks a size that a file claims against the file's length.
  ///
  /// - Parameters:
  ///   - bytes: the length of the file.
  ///   - least: the fewest bytes that so many pixels can take.
  /// - Throws: `FileError` as ``check(width:height:of:)``, and when there are fewer bytes than the least for an image
  ///   of more than ``unprovenPixelCount`` pixels.
  static func check(width: Int, height: Int, bytes: Int, least: Int, of subject: String) throws(FileError) {
    try check(width: width, height: height, of: subject)
    if width * height > unprovenPixelCount && bytes < least {
      throw FileError(subject, "claims \(width) × \(height) pixels, and its \(bytes) bytes cannot hold them")
    }
  }
}
