// Files that are sound but for the part that an input stands for: damage seldom gets past an outer layer with lengths and
// checksums.

import CMVARZlib
import Foundation

enum SoundFiles {
  /// A safetensors file with this header and 64 bytes of data.
  static func safetensors(header: UnsafeRawBufferPointer) -> [UInt8] {
    number(UInt64(header.count)) + header + [UInt8](repeating: 0x3f, count: 64)
  }

  /// A PyTorch file of before version 1.6 with this pickle and one storage "0" of six numbers in single precision.
  static func legacy(pickle: UnsafeRawBufferPointer) -> [UInt8] {
    // Each part is a pickle of protocol 2: the magic number, the version, the kind of machine, what was saved, the keys.
    let magic: [UInt8] = [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e]
    let version: [UInt8] = [0x80, 2, 0x4d, 0xe9, 3, 0x2e]
    let machine = [0x80, 2, 0x7d, 0x28] + text("little_endian") + [0x88, 0x75, 0x2e]
    let keys = [0x80, 2, 0x5d, 0x28] + text("0") + [0x65, 0x2e]
    return magic + version + machine + pickle + keys + number(UInt64(6)) + [UInt8](repeating: 0x3f, count: 24)
  }

  /// A PNG file whose chunks have the right checksums, as far as they lie within it; any other file as it is.
  static func png(repairing file: [UInt8]) -> [UInt8] {
    guard file.starts(with: [0x89, 0x50, 0x4e, 0x47]) else { return file }
    var file = file
    var position = 8
    while position + 12 <= file.count {
      let length = file[position..<position + 4].reduce(0) { $0 << 8 | Int($1) }
      guard length <= file.count - position - 12 else { break }
      let end = position + 8 + length
      let checksum = file[position + 4..<end].withUnsafeBytes {
        crc32(0, $0.bindMemory(to: UInt8.self).baseAddress, uInt($0.count))
      }
      withUnsafeBytes(of: UInt32(truncatingIfNeeded: checksum).bigEndian) {
        file.replaceSubrange(end..<end + 4, with: $0)
      }
      position = end + 4
    }
    return file
  }

  private static func number(_ value: UInt64) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { [UInt8]($0) } }

  /// A text of a pickle, and an entry of its memo.
  private static func text(_ text: String) -> [UInt8] {
    [0x58] + withUnsafeBytes(of: UInt32(text.utf8.count).littleEndian) { [UInt8]($0) } + Array(text.utf8)
  }
}
