// The marker segments of a JPEG file up to its first scan (ITU T.81, annex B), judged as Pillow 13 judges them: stray
// bytes between segments are skipped, a segment that is cut short or shorter than its kind requires is refused. The
// coded pixels are TurboJPEG's affair.

import MVARFiles

/// What a JPEG file says before its first scan.
struct JPEGHeader {
  private(set) var width = 0
  private(set) var height = 0
  /// Components of the image: 1, 3 or 4.
  private(set) var components = 0
  /// The first scan is the only one, so that its rows can be decoded before the end of the file.
  private(set) var hasOneScan = false
  private(set) var metadata = ImageMetadata()
  /// Where the coded pixels of the first scan begin.
  private(set) var scanStart = 0
  /// Units between two restart markers; 0 for none.
  private(set) var restartInterval = 0

  /// Columns and rows of blocks of each component in a unit, by the component's name.
  private var sampling: [(name: UInt8, columns: Int, rows: Int)] = []
  /// By class and number, as in their segments: 0x00 … 0x03 for the first coefficient, 0x10 … 0x13 for the others.
  private var tables: [UInt8: JPEGHuffmanTable] = [:]
  /// The components of the first scan: name, and the numbers of their tables.
  private var selectors: [(name: UInt8, tables: UInt8)] = []

  private enum Marker {
    static let frames: Set<UInt8> = [
      0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xDE,
    ]
    static let huffman: UInt8 = 0xC4
    static let restartInterval: UInt8 = 0xDD
    static let quantization: UInt8 = 0xDB
    static let scan: UInt8 = 0xDA
    /// Sequential ones with Huffman codes.
    static let sequentialFrames: Set<UInt8> = [0xC0, 0xC1]
    static let applications: ClosedRange<UInt8> = 0xE0...0xEF
  }

  /// Walks the segments of a file that begins FF D8 FF.
  ///
  /// - Throws: `FileError`.
  init(_ bytes: [UInt8], subject: String) throws(FileError) {
    var position = 3
    var isMarker = true
    var isSequential = true
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      if !isMarker {
        isMarker = byte == 0xFF
        continue
      }
      if byte == 0xFF { continue }
      isMarker = false
      switch byte {
      case 0: continue
      case 1..<0xC0:
        throw FileError(subject, "is a damaged JPEG file: it holds the unknown marker FF \(String(byte, radix: 16))")
      case 0xD0...0xD9, 0xC8, 0xF0...0xFD: continue  // without a segment
      default: break
      }
      let segment = try JPEGHeader.segment(bytes, &position, subject)
      if Marker.frames.contains(byte) {
        try takeFrame(segment, subject)
        isSequential = isSequential && Marker.sequentialFrames.contains(byte)
      } else if byte == Marker.quantization {
        try JPEGHeader.checkTables(segment, subject)
      } else if byte == Marker.huffman {
        takeHuffmanTables(segment)
      } else if byte == Marker.restartInterval {
        if segment.count == 2 { restartInterval = BigEndian.short(segment, 0) }
      } else if Marker.applications.contains(byte) {
        try takeApplication(byte & 15, segment, subject)
      } else if byte == Marker.scan {
        guard components > 0, width > 0, height > 0 else {
          throw FileError(subject, "is a JPEG file without an image")
        }
        hasOneScan = isSequential && Int(segment.first ?? 0) == components
        let parts = segment.dropFirst().prefix(2 * components)
        selectors = stride(from: parts.startIndex, to: parts.endIndex - 1, by: 2).map { (parts[$0], parts[$0 + 1]) }
        scanStart = position
        return
      }
    }
    throw FileError(subject, "is a JPEG file cut short: it holds no pixels")
  }

  /// The data of the segment at a position.
  private static func segment(
    _ bytes: [UInt8], _ position: inout Int, _ subject: String
  ) throws(FileError) -> ArraySlice<UInt8> {
    guard bytes.count - position >= 2 else { throw FileError(subject, "is a JPEG file cut short") }
    let length = max(BigEndian.short(bytes, position) - 2, 0)
    position += 2
    guard length <= bytes.count - position else {
      throw FileError(
        subject, "is a JPEG file cut short: a segment of \(length) bytes has only \(bytes.count - position)")
    }
    defer { position += length }
    return bytes[position..<(position + length)]
  }

  private static func damaged(_ subject: String, _ part: String) -> FileError {
    FileError(subject, "is a damaged JPEG file: its \(part) is too short")
  }

  private mutating func takeFrame(_ segment: ArraySlice<UInt8>, _ subject: String) throws(FileError) {
    let data = [UInt8](segment)
    guard data.count >= 6, (data.count - 6).isMultiple(of: 3) else {
      throw JPEGHeader.damaged(subject, "description of the image")
    }
    guard data[0] == 8 else { throw FileError(subject, "is a JPEG file of \(data[0]) bits, and only 8 are read") }
    guard [1, 3, 4].contains(data[5]) else {
      throw FileError(subject, "is a JPEG file of \(data[5]) components, and only 1, 3 and 4 are read")
    }
    (height, width) = (BigEndian.short(data, 1), BigEndian.short(data, 3))
    components = Int(data[5])
    sampling = stride(from: 6, to: data.count, by: 3).map {
      (data[$0], Int(data[$0 + 1] >> 4), Int(data[$0 + 1] & 15))
    }
  }

  /// Takes tables as far as they are whole; TurboJPEG refuses the others.
  private mutating func takeHuffmanTables(_ segment: ArraySlice<UInt8>) {
    var rest = segment
    while rest.count >= 17, let number = rest.first {
      let counts = rest.dropFirst().prefix(16)
      let count = counts.reduce(0) { $0 + Int($1) }
      rest = rest.dropFirst(17)
      guard rest.count >= count, let table = JPEGHuffmanTable(counts: counts, values: rest.prefix(count)) else {
        return
      }
      tables[number] = table
      rest = rest.dropFirst(count)
    }
  }

  private static func checkTables(_ segment: ArraySlice<UInt8>, _ subject: String) throws(FileError) {
    var rest = segment
    while let kind = rest.first {
      let length = 1 + (kind >> 4 == 0 ? 64 : 128)
      guard rest.count >= length else { throw damaged(subject, "table of quantization") }
      rest = rest.dropFirst(length)
    }
  }

  private mutating func takeApplication(
    _ number: UInt8, _ segment: ArraySlice<UInt8>, _ subject: String
  ) throws(FileError) {
    func begins(_ text: String) -> Bool { segment.starts(with: Array(text.utf8)) }
    switch number {
    case 0 where begins("JFIF") && segment.count < 7, 14 where begins("Adobe") && segment.count < 7:
      throw JPEGHeader.damaged(subject, "segment APP\(number)")
    case 1 where begins("Exif\0\0"):
      metadata.exif = metadata.exif.map { $0 + segment.dropFirst(6) } ?? Array(segment)
    case 1 where begins("http://ns.adobe.com/xap/1.0/\0"):
      metadata.xmp = Array(segment.dropFirst(29))
    case 2 where begins("ICC_PROFILE\0") && segment.count < 14:
      throw JPEGHeader.damaged(subject, "color profile")
    case 13 where begins("Photoshop 3.0\0"):
      try JPEGHeader.checkResources([UInt8](segment), subject)
    default: break
    }
  }

  /// Walks Photoshop's resources; they may end anywhere but before the length of a name.
  private static func checkResources(_ data: [UInt8], _ subject: String) throws(FileError) {
    var offset = 14
    while offset <= data.count - 4, data[offset..<(offset + 4)].elementsEqual("8BIM".utf8) {
      offset += 4
      if offset > data.count - 2 { return }
      offset += 2
      guard offset < data.count else { throw damaged(subject, "segment APP13") }
      offset += 1 + Int(data[offset])
      offset += offset & 1
      if offset > data.count - 4 { return }
      let size = BigEndian.long(data, offset)
      offset += 4 + size
      offset += offset & 1
    }
  }
}

extension JPEGHeader {
  /// The tables of each block of a unit (MCU) of the only scan, in their order.
  ///
  /// - Returns: nil when a table is missing.
  func blocksOfUnit() -> [(direct: JPEGHuffmanTable, alternating: JPEGHuffmanTable)]? {
    var blocks: [(direct: JPEGHuffmanTable, alternating: JPEGHuffmanTable)] = []
    for (name, numbers) in selectors {
      guard let direct = tables[numbers >> 4], let alternating = tables[0x10 | numbers & 15],
        let part = sampling.first(where: { $0.name == name })
      else { return nil }
      // The only component of a scan has one block in a unit, whatever its sampling.
      let count = selectors.count == 1 ? 1 : part.columns * part.rows
      blocks += [(direct: JPEGHuffmanTable, alternating: JPEGHuffmanTable)](
        repeating: (direct, alternating), count: count)
    }
    return blocks
  }

  /// How many units the only scan has.
  var unitCount: Int {
    let isSingle = selectors.count == 1
    let columns = 8 * (isSingle ? 1 : sampling.map(\.columns).max() ?? 1)
    let rows = 8 * (isSingle ? 1 : sampling.map(\.rows).max() ?? 1)
    return ((width + columns - 1) / max(columns, 1)) * ((height + rows - 1) / max(rows, 1))
  }
}
