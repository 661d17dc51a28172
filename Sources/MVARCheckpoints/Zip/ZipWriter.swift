// Writes a zip archive of stored entries, streamed, with ZIP64 fields where sizes or offsets need them.
//
// Contents begin at multiples of 64 bytes (padded with an extra field, as PyTorch does), so that the archive can be
// used in place. Times are fixed at the zip format's earliest date, so the same contents give the same bytes.

import MVARFiles

/// An archive being written to a `FileOutput`.
struct ZipWriter {
  /// An entry as its headers describe it.
  struct Record {
    let name: [UInt8]
    var checksum: UInt32 = 0
    let size: Int
    let offset: Int
  }

  /// Where the checksum is in a local header.
  static let checksumOffset = 14
  private static let alignment = 64
  private static let date: UInt16 = 0x0021
  private var records: [Record] = []
  /// The smallest number that the format's 32-bit fields cannot hold; less, so that ZIP64 is tested with small files.
  private let wide: Int

  /// An archive of no entries yet.
  init(wideFrom wide: Int = Int(UInt32.max)) { self.wide = wide }

  /// Appends an entry whose contents `body` writes; the checksum is written into the header afterward.
  ///
  /// - Throws: `FileError` if `body` does not write exactly `size` bytes; anything that it throws.
  mutating func add(
    _ name: String, size: Int, to output: inout FileOutput, body: (inout FileOutput) throws -> Void
  ) throws {
    var record = Record(name: Array(name.utf8), size: size, offset: output.position)
    try output.write(localHeader(record))
    let start = output.position
    output.checksum = 0
    defer { output.checksum = nil }
    try body(&output)
    guard output.position - start == size else {
      throw FileError("cannot be written: \(output.position - start) bytes were given for an array of \(size)")
    }
    record.checksum = output.checksum ?? 0
    try output.patch(littleEndianBytes(record.checksum), at: record.offset + Self.checksumOffset)
    records.append(record)
  }

  /// Adds an entry that the caller has written, after its ``localHeader(_:field:)``.
  mutating func add(written record: Record) { records.append(record) }

  /// Appends an entry of bytes in memory.
  mutating func add(_ name: String, _ bytes: [UInt8], to output: inout FileOutput) throws {
    try add(name, size: bytes.count, to: &output) { try $0.write(bytes) }
  }

  /// The header before an entry's contents.
  ///
  /// - Parameter field: a field of another kind, whose identifier and size are its first four bytes; or nothing.
  func localHeader(_ record: Record, field: [UInt8] = []) -> [UInt8] {
    let isWide = record.size >= wide
    var extra: [UInt8] = []
    if isWide {
      extra += littleEndianBytes(UInt16(1)) + littleEndianBytes(UInt16(16))
      extra += littleEndianBytes(UInt64(record.size)) + littleEndianBytes(UInt64(record.size))
    }
    extra += field
    let unpadded = record.offset + 30 + record.name.count + extra.count + 4
    let padding = (Self.alignment - unpadded % Self.alignment) % Self.alignment
    extra += littleEndianBytes(UInt16(0x4246)) + littleEndianBytes(UInt16(padding))
    extra += [UInt8](repeating: 0x5a, count: padding)

    var header = littleEndianBytes(UInt32(0x0403_4b50))
    header += common(record, isWide: isWide, extraCount: extra.count)
    return header + record.name + extra
  }

  /// The fields that local headers and directory records share, from the version needed to the extra field's length.
  private func common(_ record: Record, isWide: Bool, extraCount: Int) -> [UInt8] {
    let size = isWide ? UInt32.max : UInt32(record.size)
    var bytes = littleEndianBytes(UInt16(isWide ? 45 : 20))
    bytes += littleEndianBytes(UInt16(0x0800)) + littleEndianBytes(UInt16(0))  // UTF-8 names; stored
    bytes += littleEndianBytes(UInt16(0)) + littleEndianBytes(Self.date)
    bytes += littleEndianBytes(record.checksum) + littleEndianBytes(size) + littleEndianBytes(size)
    bytes += littleEndianBytes(UInt16(record.name.count)) + littleEndianBytes(UInt16(extraCount))
    return bytes
  }

  /// Writes the directory; the archive is then complete.
  func finish(_ output: inout FileOutput) throws {
    let directoryOffset = output.position
    for record in records {
      let isWide = record.size >= wide
      let isFar = record.offset >= wide
      var fields: [UInt8] = []
      if isWide { fields += littleEndianBytes(UInt64(record.size)) + littleEndianBytes(UInt64(record.size)) }
      if isFar { fields += littleEndianBytes(UInt64(record.offset)) }
      let extra =
        fields.isEmpty ? [] : littleEndianBytes(UInt16(1)) + littleEndianBytes(UInt16(fields.count)) + fields
      var bytes = littleEndianBytes(UInt32(0x0201_4b50)) + littleEndianBytes(UInt16(45))
      bytes += common(record, isWide: isWide, extraCount: extra.count)
      bytes += [UInt8](repeating: 0, count: 2 + 2 + 2 + 4)  // comment, disk, attributes
      bytes += littleEndianBytes(isFar ? UInt32.max : UInt32(record.offset))
      try output.write(bytes + record.name + extra)
    }
    let directorySize = output.position - directoryOffset
    let isLarge =
      records.count >= Int(UInt16.max) || directoryOffset >= wide || directorySize >= wide
    if isLarge {
      let recordOffset = output.position
      var bytes = littleEndianBytes(UInt32(0x0606_4b50)) + littleEndianBytes(UInt64(44))
      bytes += littleEndianBytes(UInt16(45)) + littleEndianBytes(UInt16(45)) + littleEndianBytes(UInt64(0))
      bytes += littleEndianBytes(UInt64(records.count)) + littleEndianBytes(UInt64(records.count))
      bytes += littleEndianBytes(UInt64(directorySize)) + littleEndianBytes(UInt64(directoryOffset))
      bytes += littleEndianBytes(UInt32(0x0706_4b50)) + littleEndianBytes(UInt32(0))
      bytes += littleEndianBytes(UInt64(recordOffset)) + littleEndianBytes(UInt32(1))
      try output.write(bytes)
    }
    let count = UInt16(min(records.count, Int(UInt16.max)))
    var bytes = littleEndianBytes(UInt32(0x0605_4b50)) + littleEndianBytes(UInt32(0))
    bytes += littleEndianBytes(count) + littleEndianBytes(count)
    for value in [directorySize, directoryOffset] {
      bytes += littleEndianBytes(value >= wide ? UInt32.max : UInt32(value))
    }
    bytes += littleEndianBytes(UInt16(0))  // comment
    try output.write(bytes)
  }
}

extension ZipWriter {
  /// Appends an entry that consists of a short header and a tensor's elements.
  mutating func add(_ name: String, header: [UInt8] = [], _ tensor: StoredTensor, to output: inout FileOutput) throws {
    try add(name, size: header.count + tensor.byteCount, to: &output) { output in
      try output.write(header)
      try output.write(tensor)
    }
  }
}
