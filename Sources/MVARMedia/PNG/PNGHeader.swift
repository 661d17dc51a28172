// What the chunks of a PNG file say (PNG specification, section 11, and its third edition for animations), judged as
// Pillow 13 judges it: chunks before the pixels need a right checksum and enough data, those after them enough data
// only, and a missing IEND is no fault. Gamma, profiles and transparency change no pixel, so only their form counts.

import CMVARZlib
import MVARFiles

/// What is known of a PNG file's image before its pixels are decoded.
struct PNGHeader {
  /// What follows a chunk.
  enum Step {
    /// Another chunk.
    case next
    /// Pixels, of which the first part is here.
    case pixels(Range<Int>)
    /// Nothing: the file's end.
    case end
  }

  private(set) var width = 0
  private(set) var height = 0
  private(set) var bitDepth = 0
  /// 0 gray, 2 color, 3 palette, 4 gray with alpha, 6 color with alpha; nil before a valid header.
  private(set) var colorType: Int?
  private(set) var isInterlaced = false
  /// Red, green and blue of each entry.
  private(set) var palette: [UInt8]?
  /// The part of the image that the first frame of an animation covers: columns, rows.
  private(set) var frame: (columns: Range<Int>, rows: Range<Int>)?
  /// The orientation that the file's metadata give.
  private(set) var metadata = ImageMetadata()
  /// Frames of an animation; nil for a still image.
  private(set) var frameCount: Int?
  private(set) var hasTransparentEntry = false
  private var sequence: Int?
  private var textBytes = 0

  /// The most bytes of decompressed text in one chunk, and of text in all.
  private static let mostText = (chunk: 1 << 20, all: 64 << 20)

  /// The samples of each pixel that are stored.
  var samples: Int {
    switch colorType ?? 0 {
    case 2: 3
    case 4: 2
    case 6: 4
    default: 1
    }
  }

  /// Bits of a stored pixel.
  var bits: Int { samples * bitDepth }

  /// Reads all chunks before the pixels.
  ///
  /// - Returns: the header, and where the first part of the compressed pixels is.
  /// - Throws: `FileError`.
  static func read(_ cursor: inout PNGCursor) throws(FileError) -> (header: PNGHeader, pixels: Range<Int>) {
    var header = PNGHeader()
    let subject = cursor.subject
    while true {
      guard let chunk = cursor.next() else {
        try header.checkSize(subject)
        let isShort = cursor.bytes.count - cursor.position < 8
        throw FileError(
          subject,
          isShort && header.colorType == nil && cursor.position > PNGCursor.signature.count
            ? "is a PNG file without its header"
            : isShort ? "is a PNG file cut short" : "is a damaged PNG file: a chunk has no name")
      }
      switch try header.take(chunk, &cursor) {
      case .next: try cursor.check(chunk)
      case .pixels(let range):
        // Without a pixel type the data are skipped like those of an unknown chunk.
        if header.colorType == nil {
          _ = try cursor.contents(chunk.data)
          try cursor.check(chunk)
          continue
        }
        try header.checkSize(subject)
        return (header, range)
      case .end:
        try header.checkSize(subject)
        let hasHeader = header.colorType != nil
        throw FileError(
          subject, hasHeader ? "is a damaged PNG file: it holds no pixels" : "is a PNG file without its header")
      }
    }
  }

  /// Refuses the size that the header gives, if there was one.
  private func checkSize(_ subject: String) throws(FileError) {
    if colorType != nil { try ImageLimits.check(width: width, height: height, of: subject) }
  }

  /// Takes one chunk, whose data the cursor is at.
  ///
  /// - Throws: `FileError` when it is cut short, or shorter than its kind requires.
  mutating func take(_ chunk: PNGChunk, _ cursor: inout PNGCursor) throws(FileError) -> Step {
    let subject = cursor.subject
    func require(_ least: Int) throws(FileError) {
      if chunk.data.count < least {
        throw FileError(
          subject, "is a damaged PNG file: its chunk \(chunk.name) has \(chunk.data.count) bytes and needs \(least)")
      }
    }
    switch chunk.name {
    case "IDAT": return .pixels(chunk.data)
    case "IEND": return .end
    case "fdAT":
      try require(4)
      let number = BigEndian.long(try cursor.contents(chunk.data.prefix(4)), 0)
      try advance(to: number, subject)
      return .pixels(chunk.data.dropFirst(4))
    default: break
    }
    let data = try cursor.contents(chunk.data)
    switch chunk.name {
    case "IHDR":
      try require(13)
      try takeHeader(data, subject)
    case "PLTE":
      if colorType == 3 { palette = [UInt8](data) }
    case "tRNS":
      try require(colorType == 2 ? 6 : colorType == 0 ? 2 : 0)
      // A single transparent entry is kept as a number, several as a table.
      if colorType == 3 { hasTransparentEntry = data.filter { $0 != 255 } == [0] }
    case "gAMA": try require(4)
    case "cHRM": try require(32)
    case "sRGB": try require(1)
    case "pHYs": try require(9)
    case "acTL":
      try require(8)
      let count = BigEndian.long(data, 0)
      frameCount = frameCount == nil && (1...0x8000_0000).contains(count) ? count : nil
    case "fcTL":
      try require(26)
      try takeFrame(data, subject)
    case "iCCP": try checkProfile(data, subject)
    case "tEXt", "zTXt", "iTXt": try takeText(chunk.name, data, subject)
    case "eXIf": metadata.exif = [UInt8](data)
    default: break
    }
    return .next
  }

  private mutating func takeHeader(_ data: ArraySlice<UInt8>, _ subject: String) throws(FileError) {
    let data = [UInt8](data)
    (width, height) = (BigEndian.long(data, 0), BigEndian.long(data, 4))
    let known: [Int: [Int]] = [0: [1, 2, 4, 8, 16], 2: [8, 16], 3: [1, 2, 4, 8], 4: [8, 16], 6: [8, 16]]
    if known[Int(data[9])]?.contains(Int(data[8])) == true {
      (bitDepth, colorType) = (Int(data[8]), Int(data[9]))
    } else if colorType == nil {
      throw FileError(
        subject, "is a damaged PNG file: \(data[8]) bits of the color type \(data[9]) are no kind of pixels")
    }
    if data[12] != 0 { isInterlaced = true }
    if data[11] != 0 { throw FileError(subject, "is a damaged PNG file: its filter method \(data[11]) is unknown") }
  }

  private mutating func advance(to number: Int, _ subject: String) throws(FileError) {
    guard number == (sequence ?? -1) + 1 else {
      throw FileError(subject, "is a damaged PNG file: the frames of its animation are out of order")
    }
    sequence = number
  }

  private mutating func takeFrame(_ data: ArraySlice<UInt8>, _ subject: String) throws(FileError) {
    try advance(to: BigEndian.long(data, 0), subject)
    let (left, top) = (BigEndian.long(data, 12), BigEndian.long(data, 16))
    let (right, bottom) = (left + BigEndian.long(data, 4), top + BigEndian.long(data, 8))
    guard right <= width, bottom <= height, left < right, top < bottom else {
      throw FileError(subject, "is a damaged PNG file: a frame of its animation is empty or exceeds the image")
    }
    frame = (left..<right, top..<bottom)
  }

  private func checkProfile(_ data: ArraySlice<UInt8>, _ subject: String) throws(FileError) {
    let method = data.firstIndex(of: 0).map { $0 + 1 } ?? data.startIndex
    guard data.indices.contains(method), data[method] == 0 else {
      throw FileError(subject, "is a damaged PNG file: its color profile is stored in an unknown way")
    }
    _ = try text(data[(method + 1)...], subject)
  }

  private mutating func takeText(_ name: String, _ data: ArraySlice<UInt8>, _ subject: String) throws(FileError) {
    let end = data.firstIndex(of: 0) ?? data.endIndex
    let key = data[..<end]
    var value = data[min(end + 1, data.endIndex)...]
    switch name {
    case "zTXt":
      if let method = value.first {
        guard method == 0 else {
          throw FileError(subject, "is a damaged PNG file: a text is compressed in an unknown way")
        }
        value = try text(value.dropFirst(), subject) ?? []
      }
    case "iTXt":
      guard value.count >= 2, end < data.endIndex else { return }
      let (isCompressed, method) = (value.first != 0, value[value.startIndex + 1])
      let parts = value.dropFirst(2).split(separator: 0, maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { return }
      value = parts[2]
      if isCompressed {
        guard method == 0, let plain = try text(value, subject) else { return }
        value = plain
      }
      if key.elementsEqual("XML:com.adobe.xmp".utf8) { metadata.xmp = [UInt8](value) }
    default: break
    }
    if key.isEmpty { return }
    if key.elementsEqual("Raw profile type exif".utf8) { metadata.takeRawProfile(value) }
    textBytes += value.count
    if textBytes > PNGHeader.mostText.all {
      throw FileError(subject, "holds more than \(PNGHeader.mostText.all >> 20) MiB of text")
    }
  }

  /// Decompressed text; nil when it is damaged, which is no fault of the image.
  ///
  /// - Throws: `FileError` when it is longer than any text may be.
  private func text(_ data: ArraySlice<UInt8>, _ subject: String) throws(FileError) -> ArraySlice<UInt8>? {
    guard let inflater = Inflater() else { throw FileError(subject, "cannot be decoded: zlib does not start") }
    var result = [UInt8](repeating: 0, count: PNGHeader.mostText.chunk)
    var rest = data
    let (status, count) = inflater.run(&rest, into: &result, from: 0)
    if status < 0 && status != Z_BUF_ERROR { return nil }
    if status != Z_STREAM_END && !rest.isEmpty {
      throw FileError(subject, "holds a text of more than \(PNGHeader.mostText.chunk >> 20) MiB")
    }
    return result[..<count]
  }
}
