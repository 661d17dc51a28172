// Memory for a tensor that a kernel is given, with guards around it. Everything is filled with 0xFF: NaN in every
// floating-point type, −1 as an integer. So what a kernel reads outside of a tensor shows in its results, and what it
// writes there, or never writes inside, is found afterwards. Beyond the guards lies memory that nothing may touch.

import Foundation
import MVARFiles

/// The memory of one tensor.
final class GuardedBuffer {
  /// The byte that guards and new memory hold.
  static let filling: UInt8 = 0xff
  /// How far the memory reaches that nothing may touch: a multiple of every page size.
  private static let distance = 1 << 20

  /// The tensor's bytes, aligned to a page.
  let bytes: UnsafeMutableRawBufferPointer
  private let before: UnsafeRawBufferPointer
  private let after: UnsafeRawBufferPointer
  private let whole: UnsafeMutableRawBufferPointer

  /// Memory of `count` bytes.
  ///
  /// - Throws: `FileError` when the system has none.
  init(count: Int) throws {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let size = max(page, 4096)
    // 1 MiB without access | guard | bytes, rounded up to pages | guard | 1 MiB without access
    let inner = (count + page - 1) / page * page + 2 * size
    guard let start = mmap(nil, inner + 2 * Self.distance, PROT_NONE, MAP_PRIVATE | MAP_ANON, -1, 0),
      start != MAP_FAILED
    else { throw FileError("the tensors", "do not fit in memory: \(SystemError())") }
    whole = UnsafeMutableRawBufferPointer(start: start, count: inner + 2 * Self.distance)
    guard mprotect(start + Self.distance, inner, PROT_READ | PROT_WRITE) == 0 else {
      let error = SystemError()
      munmap(start, whole.count)
      throw FileError("the tensors", "do not fit in memory: \(error)")
    }
    memset(start + Self.distance, Int32(Self.filling), inner)
    let first = start + Self.distance + size
    bytes = UnsafeMutableRawBufferPointer(start: first, count: count)
    before = UnsafeRawBufferPointer(start: first - size, count: size)
    after = UnsafeRawBufferPointer(start: first + count, count: inner - size - count)
  }

  deinit { munmap(whole.baseAddress, whole.count) }

  /// What was written outside of the tensor, in words; nil if nothing was.
  func damage() -> String? {
    let (early, late) = (Self.written(before), Self.written(after))
    var parts: [String] = []
    if let nearest = early.last {
      parts.append("\(Self.bytes(early.count)) before its start, the nearest \(before.count - nearest) bytes before it")
    }
    if let nearest = late.first {
      parts.append("\(Self.bytes(late.count)) behind its end, beginning at byte \(nearest)")
    }
    return parts.isEmpty ? nil : "the kernel wrote outside of it: \(parts.joined(separator: ", and "))"
  }

  private static func bytes(_ count: Int) -> String { count == 1 ? "1 byte" : "\(count) bytes" }

  private static func written(_ memory: UnsafeRawBufferPointer) -> [Int] {
    memory.indices.filter { memory[$0] != filling }
  }
}
