// Reads the directory of a zip archive (with ZIP64) and locates each entry's bytes.
//
// The central directory is the only authority; local headers must agree with it. Stored entries are used in place,
// deflated ones are inflated whenever they are read, under a limit for the whole archive. Encrypted, multi-disk,
// overlapping and repeated entries are refused. Nothing is ever extracted to disk, so entry names are only labels.

import MVARFiles

/// One file in a zip archive.
struct ZipEntry {
  let name: String
  /// 0 for stored, 8 for deflated; others are kept so that an error can name them.
  let method: UInt16
  let checksum: UInt32
  /// The bytes as stored in the archive, compressed if the entry is.
  let compressed: ByteRegion
  /// The size after decompression, as declared.
  let size: Int
}

/// The directory of a zip archive.
struct ZipArchive {
  let entries: [ZipEntry]
  private let indices: [ExactText: Int]
  private let archiveSize: Int

  /// Reads the directory.
  ///
  /// - Throws: `FileError` if the archive is damaged or uses a feature that is refused.
  init(_ archive: ByteRegion) throws {
    archiveSize = archive.count
    let end = try ZipEnd(archive)
    guard let directory = archive.slice(at: end.directoryOffset, count: end.directoryCount) else {
      throw FileError("the zip directory lies outside the file")
    }
    guard end.entryCount <= end.directoryCount / 46 else {
      throw FileError("the zip directory claims \(end.entryCount) entries but has no room for them")
    }
    guard end.entryCount <= FileLimits.zipEntries else {
      throw FileError("the zip archive holds \(end.entryCount) entries; at most \(FileLimits.zipEntries) are read")
    }
    var cursor = ByteCursor(directory, subject: "zip directory")
    var entries: [ZipEntry] = []
    var indices: [ExactText: Int] = [:]
    var extents: [Range<Int>] = []
    for _ in 0..<end.entryCount {
      let record = try ZipDirectoryRecord(&cursor)
      guard indices.updateValue(entries.count, forKey: ExactText(record.name)) == nil else {
        throw FileError("the zip archive holds the entry \"\(excerpt(record.name))\" twice")
      }
      let dataOffset = try record.dataOffset(in: archive)
      guard dataOffset <= end.directoryOffset, record.compressedSize <= end.directoryOffset - dataOffset,
        let data = archive.slice(at: dataOffset, count: record.compressedSize)
      else {
        throw FileError("the zip entry \"\(excerpt(record.name))\" reaches outside the archive")
      }
      if record.method == 0, record.compressedSize != record.size {
        throw FileError("the zip entry \"\(excerpt(record.name))\" is stored but claims two different sizes")
      }
      extents.append(record.headerOffset..<(dataOffset + record.compressedSize))
      entries.append(
        ZipEntry(
          name: record.name, method: record.method, checksum: record.checksum, compressed: data, size: record.size))
    }
    guard cursor.remaining == 0 else {
      throw FileError("the zip directory is longer than its \(end.entryCount) entries")
    }
    extents.sort { $0.lowerBound < $1.lowerBound }
    for (first, second) in zip(extents, extents.dropFirst()) where first.upperBound > second.lowerBound {
      throw FileError("two entries of the zip archive overlap")
    }
    self.entries = entries
    self.indices = indices
  }

  subscript(name: String) -> ZipEntry? {
    indices[ExactText(name)].map { entries[$0] }
  }

  /// Refuses an archive that would expand far more than a real one: 64 MiB and 256 times its own size.
  func checkExpansion() throws {
    guard archiveSize < Int.max / 512 else { throw FileError("the zip archive is too large") }
    let limit = archiveSize * 256 + FileLimits.unfoldedBytes
    var total = 0
    for entry in entries where entry.method != 0 {
      let (sum, overflow) = total.addingReportingOverflow(entry.size)
      guard !overflow, sum <= limit else {
        throw FileError(
          "the zip archive of \(archiveSize) bytes would unfold to more than \(limit) bytes and is refused")
      }
      total = sum
    }
  }

  /// The bytes of an entry. Deflated ones are inflated and compared with the checksum whenever they are read.
  ///
  /// - Parameter checked: whether stored ones are compared as well, rather than used in place.
  func contents(_ entry: ZipEntry, checked: Bool = false) throws -> ByteRegion {
    let form: EncodedBytes.Form
    switch entry.method {
    case 0 where !checked: return entry.compressed
    case 0: form = .stored(checksum: entry.checksum)
    case 8: form = .deflated(checksum: entry.checksum)
    default:
      throw FileError(
        "the zip entry \"\(excerpt(entry.name))\" uses compression method \(entry.method); only 0 and 8 are supported"
      )
    }
    return ByteRegion(
      EncodedBytes(entry.compressed, form, count: entry.size, subject: "zip entry \"\(excerpt(entry.name))\""))
  }
}
