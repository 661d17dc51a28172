// A run of bytes in a mapped file (nothing is copied), in memory, or in a file in another form, which is decoded whenever
// it is read.
//
// The range is checked once, when the region is created; slices are checked against the region. Parsers see only
// regions, so it does not matter to them where the bytes come from. Whatever reads many bytes reads them piece by piece:
// a mapped file is then read through its descriptor, so that one that was shortened is an error like any other.

import MVARFiles

/// Bytes in a mapped file, in memory, or to be decoded.
package struct ByteRegion: Sendable {
  package enum Owner: Sendable {
    case mapped(MappedFile)
    case owned([UInt8])
    indirect case encoded(EncodedBytes)
    /// Made whenever they are read, and not kept: bytes that are about to be written.
    case made(@Sendable () throws -> [UInt8])
  }

  package let owner: Owner
  /// The first byte, counted from the start of the owner.
  package let start: Int
  package let count: Int

  private static let pieceSize = 1 << 20

  /// A whole file.
  package init(_ file: MappedFile) {
    owner = .mapped(file)
    start = 0
    count = file.count
  }

  /// Bytes in memory.
  package init(_ bytes: [UInt8]) {
    owner = .owned(bytes)
    start = 0
    count = bytes.count
  }

  /// Bytes in another form.
  package init(_ bytes: EncodedBytes) {
    owner = .encoded(bytes)
    start = 0
    count = bytes.count
  }

  /// Bytes that `make` gives, always the same.
  package init(count: Int, making make: @escaping @Sendable () throws -> [UInt8]) {
    owner = .made(make)
    start = 0
    self.count = count
  }

  private init(owner: Owner, start: Int, count: Int) {
    self.owner = owner
    self.start = start
    self.count = count
  }

  /// Part of this region, or nil if it would reach outside.
  package func slice(at offset: Int, count length: Int) -> ByteRegion? {
    guard offset >= 0, length >= 0, offset <= count, length <= count - offset else { return nil }
    return ByteRegion(owner: owner, start: start + offset, count: length)
  }

  /// The byte at a position, or nil outside the region and for bytes in another form.
  package subscript(offset: Int) -> UInt8? {
    guard offset >= 0, offset < count else { return nil }
    switch owner {
    case .mapped(let file): return file.byte(at: start + offset)
    case .owned(let bytes): return bytes[start + offset]
    case .encoded, .made: return nil
    }
  }

  /// Calls `body` with all bytes: in place, or in memory for as long as it runs where they are in another form.
  ///
  /// - Throws: `FileError` if bytes in another form are damaged; anything that `body` throws.
  package func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) throws -> Result {
    switch owner {
    case .mapped(let file): return try body(file.validated(start..<(start + count)))
    case .owned(let bytes):
      return try bytes.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[start..<(start + count)])) }
    case .encoded: return try decoded().withUnsafeBytes(body)
    case .made(let make):
      return try make().withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[start..<(start + count)])) }
    }
  }

  /// Calls `body` with the bytes, piece after piece, each a multiple of `unit` bytes long.
  ///
  /// - Parameters:
  ///   - unit: at most 64; the region's length is a multiple of it.
  ///   - body: receives bytes that are valid only during the call.
  /// - Throws: `FileError` if the file was shortened or cannot be read, or the bytes are damaged; anything that `body`
  ///   throws.
  package func forEachPiece(unit: Int, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
    guard count > 0 else { return }
    switch owner {
    case .owned, .made: try withUnsafeBytes(body)
    case .encoded(let encoded): try encoded.forEachPiece(start..<(start + count), unit: unit, body)
    case .mapped(let file):
      var piece = [UInt8](repeating: 0, count: min(count, Self.pieceSize / unit * unit))
      var position = 0
      while position < count {
        let length = min(piece.count, count - position)
        try piece.withUnsafeMutableBytes { piece in
          try file.read(at: start + position, into: UnsafeMutableRawBufferPointer(rebasing: piece[..<length]))
          try body(UnsafeRawBufferPointer(rebasing: piece[..<length]))
        }
        position += length
      }
    }
  }

  private func decoded() throws -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count)
    try forEachPiece(unit: 1) { bytes.append(contentsOf: $0) }
    return bytes
  }

  /// A copy of the bytes.
  package func bytes() throws -> [UInt8] { try withUnsafeBytes { [UInt8]($0) } }

  /// See `MappedFile.checkStillWhole`.
  package func checkStillWhole() throws { try file?.checkStillWhole() }

  /// The file the bytes come from, if they come from one.
  package var path: String? { file?.path }

  private var file: MappedFile? {
    switch owner {
    case .mapped(let file): file
    case .encoded(let bytes): bytes.source.file
    case .owned, .made: nil
    }
  }
}
