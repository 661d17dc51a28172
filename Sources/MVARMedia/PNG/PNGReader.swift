// Reads PNG row by row, to the pixels of Pillow's `Image.open(path).convert("RGB")`: alpha is dropped and never composed
// on a background, gamma and profiles are ignored, 16-bit color keeps the high byte, 16-bit gray (Pillow's mode I;16)
// is clipped at 255. As there, data that end after a whole row leave the rest black, and data that end within a row, or
// that zlib refuses, are an error. Of an animation it reads the first frame.

import CMVARZlib
import MVARFiles

enum PNGReader {
  /// Deflate never shrinks data more than 1032 times: 258 bytes for 2 bits.
  private static let largestDeflateRatio = 1032

  /// The most compressed bytes that are passed on at once.
  private static let portion = 65_536

  static func decode(_ bytes: [UInt8], subject: String) throws(FileError) -> LoadedImage {
    var source = try PNGPixelData(PNGCursor(bytes: bytes, subject: subject))
    let header = source.header
    // The compressed data are a part of the file, so this refuses nothing that could be a whole image.
    let uncompressed = header.height * ((header.width * header.bits + 7) / 8)
    try ImageLimits.check(
      width: header.width, height: header.height, bytes: bytes.count, least: uncompressed / largestDeflateRatio,
      of: subject)
    var rows = try PNGRows(header, subject: subject)
    guard let inflater = Inflater() else { throw FileError(subject, "cannot be decoded: zlib does not start") }
    reading: while true {
      guard let range = try source.next(atMost: portion) else {
        throw FileError(subject, "is a PNG file cut short, or damaged: its pixels end early")
      }
      var piece = bytes[range]
      while !piece.isEmpty {
        let (status, filled) = inflater.run(&piece, into: &rows.line, from: rows.filled, to: rows.lineLength)
        if status < 0 { throw FileError(subject, "is a damaged PNG file: \(reason(status))") }
        rows.filled = filled
        if filled < rows.lineLength { break }
        try rows.take(subject)
        if rows.isComplete || status == Z_STREAM_END { break reading }
      }
    }
    let metadata = try source.finish()
    let image = PixelImage(trustedWidth: header.width, height: header.height, pixels: rows.pixels)
    return LoadedImage(
      image: image, orientation: metadata.orientation,
      damage: rows.isComplete ? nil : "its pixels end early, and the rest is black")
  }

  private static func reason(_ status: Int32) -> String {
    status == Z_MEM_ERROR ? "there is not enough memory" : "its compressed pixels are invalid"
  }
}

/// The compressed pixels of a PNG file, which may be spread over many chunks, and everything after them.
struct PNGPixelData {
  private(set) var header: PNGHeader
  private var cursor: PNGCursor
  private var rest: Range<Int>
  private let hasDefaultImage: Bool

  init(_ cursor: PNGCursor) throws(FileError) {
    self.cursor = cursor
    (header, rest) = try PNGHeader.read(&self.cursor)
    self.cursor.position = rest.lowerBound
    hasDefaultImage = header.frame == nil && header.frameCount != nil
  }

  /// The next piece; nil when there are no more.
  ///
  /// - Throws: `FileError` when something else stands where a chunk of pixels should be.
  mutating func next(atMost count: Int) throws(FileError) -> Range<Int>? {
    while rest.isEmpty {
      cursor.skipChecksum()
      guard let chunk = cursor.next(), ["IDAT", "DDAT", "fdAT"].contains(chunk.name) else { return nil }
      rest = chunk.data
      if chunk.name == "fdAT", case .pixels(let range) = try header.take(chunk, &cursor) { rest = range }
    }
    let piece = rest.lowerBound..<min(rest.lowerBound + count, rest.upperBound)
    rest = piece.upperBound..<rest.upperBound
    cursor.position = min(piece.upperBound, cursor.bytes.count)
    let present = piece.clamped(to: 0..<cursor.bytes.count)
    return present.isEmpty ? nil : present
  }

  /// Reads what follows the pixels, up to the end or to the next frame of an animation.
  ///
  /// - Throws: `FileError` when a chunk is cut short or shorter than its kind requires.
  mutating func finish() throws(FileError) -> ImageMetadata {
    cursor.position = min(rest.upperBound, cursor.bytes.count)
    let isAnimated = (header.frameCount ?? 1) + (hasDefaultImage ? 1 : 0) > 1
    while true {
      cursor.skipChecksum()
      guard let chunk = cursor.next() else { break }
      if chunk.name == "fcTL" && isAnimated { break }
      switch try header.take(chunk, &cursor) {
      case .next: break
      case .pixels(let range): _ = try cursor.contents(range)
      case .end: return header.metadata
      }
    }
    return header.metadata
  }
}
