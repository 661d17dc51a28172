// Writes an `.npz` file whose first array takes hours, row by row, in the memory of one row; another process can go on
// where this one was killed.
//
//   local header with the final sizes, the settings in a field of their own | NumPy's header | rows …
//   … | the second array | the directory
//
// Until it is complete, it is called `NAME.partial`. That file is the beginning of the finished one, so nothing is copied in
// the end; what a kill left of a row is cut off. Only the checksum in the first header is filled in last: it is that of
// all rows, and a process that goes on reads them once.

import Foundation
import MVARFiles

/// An `.npz` file of two arrays, the first of which arrives row by row.
public final class ResumableNPZ {
  /// What is complete of a file is in the file of this name until it is finished: `NAME.partial`, beside it.
  public static func partialPath(of path: String) -> String { "\(path).partial" }

  /// The partial file.
  public let partialPath: String
  /// How many rows the first array has.
  public let rows: Int
  /// How many rows are written.
  public private(set) var done = 0
  /// Whether the file had been finished with the same settings before.
  public private(set) var wasFinished = false

  private let path: String
  private let target: String
  private let permissions: mode_t?
  private let settings: RequestSettings
  private let rowBytes: Int
  private let record: ZipWriter.Record
  /// The bytes before the first row: the local header, without a checksum, and NumPy's.
  private let beginning: [UInt8]
  private let wide: Int
  /// Of NumPy's header and the rows.
  private var checksum: UInt32
  private var file: RegularFile?

  /// Marks the field with the settings among the extra fields of the first entry: `MV`.
  private static let field: UInt16 = 0x564d
  /// No local header is longer, and neither is what is read to find the settings.
  private static let mostBeginning = 1 << 17

  /// A new file, or one that was begun.
  ///
  /// Nothing is created before the first row.
  ///
  /// - Parameters:
  ///   - path: the file, which is replaced, if there is one, when the new one is complete.
  ///   - name: the name of the first array, without `.npy`.
  ///   - shape: of the first array; its first number is that of the rows, at least 1.
  ///   - settings: what determines the contents.
  ///   - isResuming: whether to go on where an earlier process stopped, if there was one.
  ///   - wide: the smallest size that is written in ZIP64's fields.
  ///   - onRead: called with the share of the rows that was read again, 0 … 1, while they are.
  /// - Throws: `FileError` when there is a partial file and it is not to be continued, or was begun with other settings, or
  ///   another process writes it; when the finished file has other settings and should be continued; or when a file
  ///   cannot be read.
  public convenience init(
    _ path: String, name: String, scalarType: ScalarType, shape: [Int], settings: RequestSettings,
    resuming isResuming: Bool, onRead: (Double) -> Void = { _ in }
  ) throws {
    try self.init(
      path, name: name, scalarType: scalarType, shape: shape, settings: settings, resuming: isResuming,
      wideFrom: Int(UInt32.max), onRead: onRead)
  }

  package init(
    _ path: String, name: String, scalarType: ScalarType, shape: [Int], settings: RequestSettings,
    resuming isResuming: Bool, wideFrom wide: Int, onRead: (Double) -> Void = { _ in }
  ) throws {
    precondition(shape.first.map { $0 >= 1 } ?? false, "an array without rows")
    try RegularFile.checkName(path)
    permissions = try FileReplacement.checkTarget(path)
    do throws(SystemError) {
      target = try FileReplacement.resolvingLinks(path)
    } catch {
      throw FileError(path, "cannot be written: \(error)")
    }
    (self.path, self.settings, self.wide) = (path, settings, wide)
    partialPath = Self.partialPath(of: target)
    let bytes = try attributing(to: path) { try Layout.elementCount(of: shape, width: scalarType.byteWidth) }
    rows = shape[0]
    rowBytes = bytes / shape[0] * scalarType.byteWidth
    let header = try attributing(to: path) { try NPYWriter.header(scalarType, shape) }
    record = ZipWriter.Record(name: Array("\(name).npy".utf8), size: header.count + rows * rowBytes, offset: 0)
    let text = settings.json
    // The whole header has 16 bits for the length of its extra fields.
    guard text.count <= 60_000 else { throw FileError(path, "cannot be written: the settings take too much room") }
    let field = littleEndianBytes(Self.field) + littleEndianBytes(UInt16(text.count)) + text
    beginning = ZipWriter(wideFrom: wide).localHeader(record, field: field) + header
    checksum = header.withUnsafeBytes { Zlib.checksum($0) }
    try open(resuming: isResuming, onRead)
  }

  // MARK: Going on

  private func open(resuming isResuming: Bool, _ onRead: (Double) -> Void) throws {
    guard let found = try RegularFile.openIfPresent(partialPath, for: .updating) else {
      if isResuming { try findFinished(onRead) }
      return
    }
    guard isResuming else {
      throw FileError(
        partialPath,
        "is what an interrupted run has left: continue it with --resume, or remove it to begin again")
    }
    let size = found.size
    file = consume found
    try lock()
    let start = try read(descriptor, of: partialPath, at: 0, count: min(size, Self.mostBeginning))
    try check(start, of: partialPath, isWhole: false)
    done = min(max(size - beginning.count, 0) / max(rowBytes, 1), rows)
    try dropZeros()
    try readRows(onRead)
    try system { () throws(SystemError) in
      // The beginning is written with the first row.
      let end = off_t(done > 0 ? beginning.count + done * rowBytes : 0)
      guard ftruncate(descriptor, end) == 0, lseek(descriptor, end, SEEK_SET) == end else { throw SystemError() }
    }
  }

  /// Finds out whether the file is there already, and whole.
  private func findFinished(_ onRead: (Double) -> Void) throws {
    guard let found = try RegularFile.openIfPresent(path, for: .reading) else { return }
    do {
      let start = try read(found.descriptor, of: path, at: 0, count: min(found.size, Self.mostBeginning))
      try check(start, of: path, isWhole: true)
      let arrays = try Checkpoint.open(path).tensors.map(\.tensor)
      guard arrays.count == 2 else { throw FileError(path, "is not complete") }
      let total = arrays.reduce(0) { $0 + $1.byteCount }
      var position = 0
      // Reading compares with the checksums.
      for array in arrays {
        try array.forEachPiece { piece in
          position += piece.count
          onRead(Double(position) / Double(total))
        }
      }
    } catch let error as FileError {
      throw FileError(path, "\(error.reason), or leave --resume out to replace it")
    }
    (done, wasFinished) = (rows, true)
  }

  /// Compares the first bytes of a file with what they should be, except for the checksum.
  ///
  /// - Parameter isWhole: whether there must be as many.
  private func check(_ start: [UInt8], of path: String, isWhole: Bool) throws(FileError) {
    let place = ZipWriter.checksumOffset..<ZipWriter.checksumOffset + 4
    let common = min(start.count, beginning.count)
    let isSame = (0..<common).allSatisfy { start[$0] == beginning[$0] || place.contains($0) }
    if isSame && (common == beginning.count || !isWhole) { return }
    try Self.settings(in: start)?.check(settings, path: path)
    throw FileError(path, "is not what a run with these settings writes: choose another name")
  }

  /// The settings in a first header; nil where it has none.
  private static func settings(in start: [UInt8]) -> RequestSettings? {
    do {
      guard ByteCursor.signature(in: ByteRegion(start), at: 0) == 0x0403_4b50 else { return nil }
      var cursor = ByteCursor(ByteRegion(start), at: 26, subject: "zip header")
      let nameCount = Int(try cursor.read(UInt16.self))
      let extraCount = Int(try cursor.read(UInt16.self))
      try cursor.skip(nameCount)
      var fields = ByteCursor(try cursor.readRegion(extraCount), subject: "zip header")
      while fields.remaining >= 4 {
        let identifier = try fields.read(UInt16.self)
        let contents = try fields.readBytes(Int(try fields.read(UInt16.self)))
        if identifier == field { return RequestSettings(json: contents) }
      }
    } catch {
      // A header that is cut off has none.
    }
    return nil
  }

  /// Leaves out rows of zeros at the end, and the one before them: a power failure may leave the length of a file without its
  /// contents. Rows that were right are drawn again, to the same bytes.
  private func dropZeros() throws {
    let all = done
    while done > 0 {
      let row = try read(
        descriptor, of: partialPath, at: beginning.count + (done - 1) * rowBytes, count: rowBytes)
      guard row.allSatisfy({ $0 == 0 }) else { break }
      done -= 1
    }
    if done < all { done = max(done - 1, 0) }
  }

  private func readRows(_ onRead: (Double) -> Void) throws {
    let end = beginning.count + done * rowBytes
    var position = beginning.count
    while position < end {
      let piece = try read(descriptor, of: partialPath, at: position, count: min(end - position, 1 << 20))
      checksum = piece.withUnsafeBytes { Zlib.checksum($0, after: checksum) }
      position += piece.count
      onRead(Double(position - beginning.count) / Double(end - beginning.count))
    }
  }

  private func read(_ descriptor: Int32, of path: String, at offset: Int, count: Int) throws(FileError) -> [UInt8] {
    do throws(SystemError) {
      return try Descriptor.read(descriptor, at: offset, count: count)
    } catch {
      throw FileError(path, "cannot be read: \(error)")
    }
  }

  private func lock() throws(FileError) {
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      let code = errno
      throw code == EWOULDBLOCK
        ? FileError(partialPath, "another run is writing here")
        : FileError(partialPath, "cannot be locked", system: code)
    }
  }

  // MARK: Writing

  /// Adds rows.
  ///
  /// - Parameter bytes: the elements of one or more rows, row-major and little-endian.
  /// - Throws: `FileError` when they cannot be written; complete rows stay in the partial file, if there are any.
  public func append(_ bytes: [UInt8]) throws {
    precondition(rowBytes > 0 && bytes.count % rowBytes == 0, "\(bytes.count) bytes for rows of \(rowBytes)")
    precondition(bytes.count / rowBytes <= rows - done, "more rows than the array has")
    if file == nil {
      file = try RegularFile.open(partialPath, for: .updatingNew)
      try lock()
      if let permissions { _ = fchmod(descriptor, permissions) }
    }
    do {
      if done == 0 { try write(beginning) }
      try write(bytes)
    } catch {
      // A file without a row is of no use to anyone.
      if done == 0 { unlink(partialPath) }
      throw error
    }
    checksum = bytes.withUnsafeBytes { Zlib.checksum($0, after: checksum) }
    done += bytes.count / rowBytes
  }

  private func write(_ bytes: [UInt8]) throws(FileError) {
    try system { () throws(SystemError) in try Descriptor.writeAll(bytes, to: descriptor) }
  }

  /// That of the partial file, which is open as soon as it has a row.
  private var descriptor: Int32 { file?.descriptor ?? -1 }

  /// Adds the second array, and gives the file its name.
  ///
  /// - Parameters:
  ///   - name: the name of the array, without `.npy`.
  ///   - body: writes its elements, row-major and little-endian.
  /// - Throws: `FileError` when `body` writes too much or too little, or the file cannot be written; the partial file stays.
  public func finish(
    _ name: String, scalarType: ScalarType, shape: [Int], _ body: (inout FileOutput) throws -> Void
  ) throws {
    precondition(done == rows && !wasFinished, "\(done) of \(rows) rows were written")
    try attributing(to: partialPath) {
      let header = try NPYWriter.header(scalarType, shape)
      let size = try header.count + Layout.elementCount(of: shape, width: scalarType.byteWidth) * scalarType.byteWidth
      var output = FileOutput(
        descriptor: descriptor, path: partialPath, position: beginning.count + rows * rowBytes)
      var archive = ZipWriter(wideFrom: wide)
      var record = record
      record.checksum = checksum
      archive.add(written: record)
      try archive.add("\(name).npy", size: size, to: &output) { output in
        try output.write(header)
        try body(&output)
      }
      try archive.finish(&output)
      try output.patch(littleEndianBytes(checksum), at: ZipWriter.checksumOffset)
    }
    try system { () throws(SystemError) in
      try Descriptor.flush(descriptor)
      try FileReplacement.rename(partialPath, to: target)
    }
    file = nil
  }

  /// Runs system calls on the partial file.
  private func system(_ body: () throws(SystemError) -> Void) throws(FileError) {
    do throws(SystemError) {
      try body()
    } catch {
      throw FileError(partialPath, "cannot be written: \(error)")
    }
  }
}
