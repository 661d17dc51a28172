// Damaged, hostile and unsuitable files for the program to refuse, built byte by byte or from the tiny models.

import Foundation
import MVAR
import MVARCheckpoints
import MVARTestSupport

/// Makes files that should be refused.
enum BadFiles {
  /// Writes bytes to a file.
  static func write(_ bytes: [UInt8], _ path: String) throws { try Data(bytes).write(to: URL(filePath: path)) }

  /// The first part of another file.
  static func truncated(_ source: String, to count: Int, _ path: String) throws {
    try write([UInt8](Data(contentsOf: URL(filePath: source)).prefix(count)), path)
  }

  /// The transformer with its weights changed.
  static func transformer(
    _ path: String, _ change: (inout [(name: String, tensor: StoredTensor)]) throws -> Void
  ) throws {
    var weights = try Tool.transformerWeights()
    try change(&weights)
    try SafetensorsWriter.write(weights, to: path)
  }

  /// The tokenizer with its weights changed.
  static func tokenizer(
    _ path: String, _ change: (inout [(name: String, tensor: StoredTensor)]) throws -> Void
  ) throws {
    var weights = try Tool.tokenizerWeights()
    try change(&weights)
    try SafetensorsWriter.write(weights, to: path)
  }

  /// Replaces one tensor by one that the caller supplies.
  static func replace(
    _ name: String, in weights: inout [(name: String, tensor: StoredTensor)],
    _ make: (StoredTensor) throws -> StoredTensor
  ) rethrows {
    for index in weights.indices where weights[index].name == name {
      weights[index].tensor = try make(weights[index].tensor)
    }
  }

  /// A pickle of the oldest kind that would run a command.
  static let commandPickle: [UInt8] =
    [0x80, 2] + Array("cos\nsystem\n".utf8) + [0x28, 0x58, 20, 0, 0, 0] + Array("touch was-executed.x".utf8) + [
      0x74, 0x52, 0x2e,
    ]

  /// A zip archive with one deflated member that claims to unpack to `size` bytes.
  static func zipBomb(size: UInt32) -> [UInt8] {
    func le<Number: FixedWidthInteger>(_ value: Number) -> [UInt8] {
      withUnsafeBytes(of: value.littleEndian) { [UInt8]($0) }
    }
    let name = Array("tokens.npy".utf8)
    let data: [UInt8] = [0xed, 0xc1, 0x01, 0x01] + [UInt8](repeating: 0, count: 60)
    let fields =
      le(UInt16(0)) + le(UInt16(8)) + [0, 0, 0x21, 0] + le(UInt32(0)) + le(UInt32(data.count)) + le(size)
      + le(UInt16(name.count)) + [0, 0]
    let local = [0x50, 0x4b, 3, 4, 20, 0] + fields + name + data
    let directory =
      [0x50, 0x4b, 1, 2, 20, 0, 20, 0] + fields + [UInt8](repeating: 0, count: 10) + le(UInt32(0)) + name
    return local + directory + [0x50, 0x4b, 5, 6, 0, 0, 0, 0, 1, 0, 1, 0] + le(UInt32(directory.count))
      + le(UInt32(local.count)) + [0, 0]
  }

  /// A PNG file with an honest header and no pixels.
  static func png(width: Int, height: Int) -> [UInt8] {
    func be(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) } }
    func chunk(_ name: String, _ data: [UInt8]) -> [UInt8] {
      let checked = Array(name.utf8) + data
      let sum = ~checked.reduce(UInt32.max) { crc, byte in
        (0..<8).reduce(crc ^ UInt32(byte)) { value, _ in value & 1 == 1 ? (value >> 1) ^ 0xedb8_8320 : value >> 1 }
      }
      return be(data.count) + checked + be(Int(sum))
    }
    return [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A] + chunk("IHDR", be(width) + be(height) + [8, 2, 0, 0, 0])
      + chunk("IEND", [])
  }
}
