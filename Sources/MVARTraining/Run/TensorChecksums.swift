// Checksums of the tensors of a training's checkpoint. A file system that loses a page, or a disk that flips a bit, can leave
// numbers that are as good as any others: only the bytes as they were written can tell.
//
// The CRC-32 of every tensor, in the order of the file's header, is the last tensor. Files without it are read as they are.

import MVARCheckpoints
import MVARFiles
import Synchronization

/// Writes and compares checksums.
enum TensorChecksums {
  /// The tensor that holds them: uint8 [number of other tensors, 4], each CRC-32 with the least significant byte first.
  static let name = "trainer.checksums"

  /// The tensors, each of which notes its checksum when it is written, and the checksums, which are written last.
  ///
  /// - Throws: `FileError` when a tensor has more elements than can be counted.
  static func adding(to tensors: [(name: String, tensor: StoredTensor)]) throws -> [(
    name: String, tensor: StoredTensor
  )] {
    let sums = Sums(count: tensors.count)
    let noting = try tensors.enumerated().map { index, entry in
      let tensor = entry.tensor
      return (
        name: entry.name,
        tensor: try StoredTensor(scalarType: tensor.scalarType, shape: tensor.shape) {
          let bytes = try tensor.withContiguousBytes { [UInt8]($0) }
          sums.note(bytes.withUnsafeBytes { CRC32.checksum($0) }, of: index)
          return bytes
        }
      )
    }
    // Bytes are the narrowest type, so the file's data end with the last tensor of them.
    let list = try StoredTensor(scalarType: .uint8, shape: [tensors.count, 4]) { sums.bytes }
    return noting + [(name, list)]
  }

  /// Compares the tensors of a file with their checksums.
  ///
  /// - Throws: `FileError` that names the first tensor whose bytes are not those that were written.
  static func check(_ file: Checkpoint) throws {
    guard let list = file[name] else { return }
    let others = file.tensors.filter { !$0.name.isExactly(name) }
    guard list.scalarType == .uint8, list.shape == [others.count, 4] else {
      throw FileError(
        file.path,
        "\(name) is \(list.scalarType) \(list.shape), and \(others.count) tensors have uint8 [\(others.count), 4]")
    }
    let written = try list.withContiguousBytes { [UInt8]($0) }
    for (index, (name, tensor)) in others.enumerated() {
      let sum = try tensor.withContiguousBytes { CRC32.checksum($0) }
      guard written[4 * index..<4 * index + 4].elementsEqual(Sums.bytes(of: sum)) else {
        throw FileError(
          file.path,
          "\(name) is damaged: its bytes are not those that were written (their CRC-32 differs from \(Self.name))")
      }
    }
  }

  /// The checksums noted so far, by the thread that writes.
  private final class Sums: Sendable {
    private let values: Mutex<[UInt32]>

    init(count: Int) { values = Mutex([UInt32](repeating: 0, count: count)) }

    func note(_ sum: UInt32, of index: Int) { values.withLock { $0[index] = sum } }

    var bytes: [UInt8] { values.withLock { $0.flatMap(Self.bytes) } }

    static func bytes(of sum: UInt32) -> [UInt8] { withUnsafeBytes(of: sum.littleEndian) { [UInt8]($0) } }
  }
}
