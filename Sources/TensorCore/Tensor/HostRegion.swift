// Memory of this process with another owner, such as a mapped file. It lets an engine use a checkpoint's pages in
// place. This is the one type outside the engines that holds an unsafe pointer; it never writes through it.

/// Read-only memory that stays valid as long as `owner` lives.
public struct HostRegion: @unchecked Sendable {
  /// The object that keeps the memory alive.
  public let owner: AnyObject
  /// The first byte.
  public let start: UnsafeRawPointer
  /// The length in bytes.
  public let byteCount: Int

  /// A region kept alive by `owner`.
  public init(owner: AnyObject, start: UnsafeRawPointer, byteCount: Int) {
    self.owner = owner
    self.start = start
    self.byteCount = byteCount
  }
}
