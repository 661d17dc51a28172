// A run of bytes that is either in a mapped file (nothing is copied) or owned (an inflated zip entry).
//
// The range is checked once, when the region is created; slices are checked against the region. Parsers see only
// regions, so it does not matter to them whether the bytes came from the disk or from the inflater.

/// Bytes in a mapped file or in memory.
package struct ByteRegion: Sendable {
  package enum Owner: Sendable {
    case mapped(MappedFile)
    case owned([UInt8])
  }

  package let owner: Owner
  /// The first byte, counted from the start of the owner.
  package let start: Int
  package let count: Int

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

  /// The byte at a position, or nil outside the region.
  package subscript(offset: Int) -> UInt8? {
    guard offset >= 0, offset < count else { return nil }
    switch owner {
    case .mapped(let file): return file.byte(at: start + offset)
    case .owned(let bytes): return bytes[start + offset]
    }
  }

  package func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    switch owner {
    case .mapped(let file): return try body(file.validated(start..<(start + count)))
    case .owned(let bytes):
      return try bytes.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[start..<(start + count)])) }
    }
  }

  /// A copy of the bytes.
  package var bytes: [UInt8] { withUnsafeBytes { [UInt8]($0) } }

  /// See `MappedFile.checkStillWhole`.
  package func checkStillWhole() throws {
    if case .mapped(let file) = owner { try file.checkStillWhole() }
  }

  /// The file the bytes come from, if they come from one.
  package var path: String? {
    if case .mapped(let file) = owner { return file.path }
    return nil
  }
}
