// The fixed records of a zip archive: its end, the ZIP64 end, a directory record and a local header.
//
// Field by field as in PKWARE's APPNOTE 4.3 and 4.5.3. Only what locates entries is kept: times, attributes and
// comments are skipped.

import MVARFiles

/// Where the central directory is, from the records at the end of the archive.
struct ZipEnd {
  let entryCount: Int
  let directoryOffset: Int
  let directoryCount: Int

  init(_ archive: ByteRegion) throws {
    guard let position = try Self.find(in: archive) else {
      throw FileError("is a zip archive without its directory; the file is truncated or damaged")
    }
    var cursor = ByteCursor(archive, at: position + 4, subject: "zip directory")
    let disk = try cursor.read(UInt16.self)
    let directoryDisk = try cursor.read(UInt16.self)
    let diskEntries = try cursor.read(UInt16.self)
    let entries = try cursor.read(UInt16.self)
    let size = try cursor.read(UInt32.self)
    let offset = try cursor.read(UInt32.self)

    let locator = position - 20
    if locator >= 0, ByteCursor.signature(in: archive, at: locator) == 0x0706_4b50 {
      let extended = try Self.readExtended(archive, locator: locator)
      let agrees =
        (entries == .max || Int(entries) == extended.entryCount)
        && (size == .max || Int(size) == extended.directoryCount)
        && (offset == .max || Int(offset) == extended.directoryOffset)
      guard agrees else { throw FileError("the two directories of the zip archive contradict each other") }
      self = extended
      return
    }
    guard disk == 0, directoryDisk == 0, diskEntries == entries else {
      throw FileError("is part of a zip archive split over several files, which is not supported")
    }
    try self.init(
      entryCount: Int(entries), directoryOffset: Int(offset), directoryCount: Int(size), recordOffset: position)
  }

  /// - Parameter recordOffset: the record that must follow the directory immediately.
  private init(entryCount: Int, directoryOffset: Int, directoryCount: Int, recordOffset: Int) throws {
    guard directoryOffset <= recordOffset, directoryCount == recordOffset - directoryOffset else {
      throw FileError("the zip directory is not where the end of the archive says; the file is damaged")
    }
    self.entryCount = entryCount
    self.directoryOffset = directoryOffset
    self.directoryCount = directoryCount
  }

  private static func readExtended(_ archive: ByteRegion, locator: Int) throws -> ZipEnd {
    var cursor = ByteCursor(archive, at: locator + 4, subject: "zip directory")
    let disk = try cursor.read(UInt32.self)
    let recordOffset = try cursor.readLength()
    let diskCount = try cursor.read(UInt32.self)
    guard disk == 0, diskCount <= 1 else {
      throw FileError("is part of a zip archive split over several files, which is not supported")
    }
    guard recordOffset <= locator - 56, ByteCursor.signature(in: archive, at: recordOffset) == 0x0606_4b50 else {
      throw FileError("the ZIP64 directory is not where the end of the archive says; the file is damaged")
    }
    cursor = ByteCursor(archive, at: recordOffset + 4, subject: "zip directory")
    let recordSize = try cursor.readLength()
    guard recordSize == locator - recordOffset - 12 else {
      throw FileError("the ZIP64 directory has a wrong length; the file is damaged")
    }
    try cursor.skip(4)
    guard try cursor.read(UInt32.self) == 0, try cursor.read(UInt32.self) == 0 else {
      throw FileError("is part of a zip archive split over several files, which is not supported")
    }
    let diskEntries = try cursor.readLength()
    let entries = try cursor.readLength()
    guard diskEntries == entries else {
      throw FileError("is part of a zip archive split over several files, which is not supported")
    }
    let size = try cursor.readLength()
    let offset = try cursor.readLength()
    return try ZipEnd(
      entryCount: entries, directoryOffset: offset, directoryCount: size, recordOffset: recordOffset)
  }

  /// The last end record whose comment fills the rest of the file exactly.
  private static func find(in archive: ByteRegion) throws -> Int? {
    guard archive.count >= 22 else { return nil }
    return try archive.withUnsafeBytes { bytes in
      var position = bytes.count - 22
      let lowest = max(0, position - 0xffff)
      while position >= lowest {
        if bytes.loadUnaligned(fromByteOffset: position, as: UInt32.self) == 0x0605_4b50,
          Int(bytes.loadUnaligned(fromByteOffset: position + 20, as: UInt16.self)) == bytes.count - 22 - position
        {
          return position
        }
        position -= 1
      }
      return nil
    }
  }
}

/// One record of the central directory.
struct ZipDirectoryRecord {
  let name: String
  let nameBytes: [UInt8]
  let method: UInt16
  let checksum: UInt32
  let compressedSize: Int
  let size: Int
  let headerOffset: Int

  /// Reads the next record.
  init(_ cursor: inout ByteCursor) throws {
    guard try cursor.read(UInt32.self) == 0x0201_4b50 else {
      throw FileError("the zip directory is damaged")
    }
    try cursor.skip(4)
    let flags = try cursor.read(UInt16.self)
    method = try cursor.read()
    try cursor.skip(4)
    checksum = try cursor.read()
    let shortCompressedSize = try cursor.read(UInt32.self)
    let shortSize = try cursor.read(UInt32.self)
    let nameCount = Int(try cursor.read(UInt16.self))
    let extraCount = Int(try cursor.read(UInt16.self))
    let commentCount = Int(try cursor.read(UInt16.self))
    let shortDisk = try cursor.read(UInt16.self)
    try cursor.skip(6)
    let shortOffset = try cursor.read(UInt32.self)
    nameBytes = try cursor.readBytes(nameCount)
    guard let name = String(validating: nameBytes, as: UTF8.self) else {
      throw FileError("the zip archive holds an entry whose name is not valid UTF-8")
    }
    self.name = name
    let extra = try cursor.readRegion(extraCount)
    try cursor.skip(commentCount)

    // Bit 0: encrypted; bit 6: strong encryption; bit 13: masked headers.
    guard flags & 0x2041 == 0 else {
      throw FileError("the zip entry \"\(excerpt(name))\" is encrypted")
    }
    guard shortDisk == 0 || shortDisk == .max else {
      throw FileError("is part of a zip archive split over several files, which is not supported")
    }
    var wide = try Self.wideFields(extra)
    size = shortSize == .max ? try wide.readLength() : Int(shortSize)
    compressedSize = shortCompressedSize == .max ? try wide.readLength() : Int(shortCompressedSize)
    headerOffset = shortOffset == .max ? try wide.readLength() : Int(shortOffset)
  }

  /// The ZIP64 extra field, in which exactly the saturated fields appear, in order; empty if there is none.
  private static func wideFields(_ extra: ByteRegion) throws -> ByteCursor {
    var cursor = ByteCursor(extra, subject: "extra field of a zip entry")
    while cursor.remaining >= 4 {
      let identifier = try cursor.read(UInt16.self)
      let field = try cursor.readRegion(Int(try cursor.read(UInt16.self)))
      if identifier == 1 { return ByteCursor(field, subject: "ZIP64 field of a zip entry") }
    }
    return ByteCursor(ByteRegion([]), subject: "ZIP64 field of a zip entry")
  }

  /// Where the entry's bytes begin, after its local header, which must have the same name.
  func dataOffset(in archive: ByteRegion) throws -> Int {
    guard headerOffset <= archive.count,
      ByteCursor.signature(in: archive, at: headerOffset) == 0x0403_4b50
    else {
      throw FileError("the zip entry \"\(excerpt(name))\" is not where the directory says")
    }
    var cursor = ByteCursor(archive, at: headerOffset + 26, subject: "header of a zip entry")
    let nameCount = Int(try cursor.read(UInt16.self))
    let extraCount = Int(try cursor.read(UInt16.self))
    guard try cursor.readBytes(nameCount) == nameBytes else {
      throw FileError("the zip entry \"\(excerpt(name))\" has another name in its own header")
    }
    try cursor.skip(extraCount)
    return cursor.position
  }
}

extension ByteCursor {
  /// Four bytes at a position; 0 if they extend outside.
  static func signature(in region: ByteRegion, at position: Int) -> UInt32 {
    guard region.slice(at: position, count: 4) != nil else { return 0 }
    return (0..<4).reversed().reduce(0) { $0 << 8 | UInt32(region[position + $1] ?? 0) }
  }
}
