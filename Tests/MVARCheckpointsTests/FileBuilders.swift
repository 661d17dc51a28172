// Builds small files byte by byte, valid and otherwise: pickles, zip archives, safetensors, npy, old PyTorch files.
//
// Written independently of the module's own writers, so that it can also lie: about sizes, checksums and names.

import Foundation
import MVARCheckpoints
import MVARTestSupport
import Testing

/// Little-endian bytes of an integer.
func le<Integer: FixedWidthInteger>(_ value: Integer) -> [UInt8] {
  withUnsafeBytes(of: value.littleEndian) { [UInt8]($0) }
}

/// Pickle instructions as bytes.
enum Pickle {
  static func global(_ module: String, _ name: String) -> [UInt8] { Array("c\(module)\n\(name)\n".utf8) }
  static func text(_ text: String) -> [UInt8] { [0x58] + le(UInt32(text.utf8.count)) + Array(text.utf8) }
  static func int(_ value: Int) -> [UInt8] { [0x8a, 8] + le(Int64(value)) }
  static func tuple(_ parts: [UInt8]...) -> [UInt8] { [0x28] + parts.flatMap { $0 } + [0x74] }
  static func ints(_ values: [Int]) -> [UInt8] { [0x28] + values.flatMap(int) + [0x74] }
  static func dictionary(_ pairs: [(String, [UInt8])]) -> [UInt8] {
    [0x7d, 0x28] + pairs.flatMap { text($0.0) + $0.1 } + [0x75]
  }
  static func storage(_ key: String, _ type: String = "FloatStorage", count: Int, suffix: [UInt8] = []) -> [UInt8] {
    tuple(text("storage"), global("torch", type), text(key), text("cpu"), int(count), suffix) + [0x51]
  }
  static func tensor(_ storage: [UInt8], offset: Int = 0, shape: [Int], strides: [Int]) -> [UInt8] {
    global("torch._utils", "_rebuild_tensor_v2")
      + tuple(
        storage, int(offset), ints(shape), ints(strides), [0x89], global("collections", "OrderedDict") + [0x29, 0x52])
      + [0x52]
  }
  static func program(_ parts: [UInt8]...) -> [UInt8] { [0x80, 2] + parts.flatMap { $0 } + [0x2e] }

  /// Two tensors of one storage of six floats, and a nested list.
  static let sample = program(
    dictionary([
      ("a", tensor(storage("0", count: 6), shape: [2, 3], strides: [3, 1])),
      (
        "b",
        [0x5d, 0x71, 1, 0x28] + tensor(storage("0", count: 6), offset: 1, shape: [2, 2], strides: [1, 2]) + [
          0x4e, 0x65,
        ]
      ),
      ("c", [0x47] + [0x3f, 0xf0, 0, 0, 0, 0, 0, 0]), ("d", [0x68, 1]),
    ]))
}

/// Zip archives.
enum Zip {
  struct Entry {
    var name: String
    var bytes: [UInt8]
    var method: UInt16 = 0
    var flags: UInt16 = 0
    var size: UInt32?
    var checksum: UInt32?
    var offset: UInt32?
    var localName: String?
    var disk: UInt16 = 0
  }

  /// One bit at a time: slow, and independent of the module's table.
  static func checksum(_ bytes: [UInt8]) -> UInt32 {
    ~bytes.reduce(0xffff_ffff) { crc, byte in
      (0..<8).reduce(crc ^ UInt32(byte)) { value, _ in value & 1 == 1 ? (value >> 1) ^ 0xedb8_8320 : value >> 1 }
    }
  }

  /// The checksum of zeros: shifting a register that is never added to.
  static func checksum(ofZeros count: Int) -> UInt32 {
    ~(0..<count).reduce(0xffff_ffff) { crc, _ in (crc >> 8) ^ zeroTable[Int(crc & 0xff)] }
  }
  private static let zeroTable: [UInt32] = (0..<256).map { byte in
    (0..<8).reduce(UInt32(byte)) { value, _ in value & 1 == 1 ? (value >> 1) ^ 0xedb8_8320 : value >> 1 }
  }

  static func archive(_ entries: [Entry], comment: [UInt8] = []) -> [UInt8] {
    var file: [UInt8] = []
    var directory: [UInt8] = []
    for entry in entries {
      let offset = UInt32(file.count)
      func fields(_ name: String) -> [UInt8] {
        le(entry.flags) + le(entry.method) + [0, 0, 0x21, 0] + le(entry.checksum ?? checksum(entry.bytes))
          + le(UInt32(entry.bytes.count)) + le(entry.size ?? UInt32(entry.bytes.count)) + le(UInt16(name.utf8.count))
          + [0, 0]
      }
      let localName = entry.localName ?? entry.name
      file += [0x50, 0x4b, 3, 4, 20, 0] + fields(localName) + Array(localName.utf8) + entry.bytes
      directory +=
        [0x50, 0x4b, 1, 2, 20, 0, 20, 0] + fields(entry.name) + [0, 0] + le(entry.disk) + [0, 0, 0, 0, 0, 0]
      directory += le(entry.offset ?? offset) + Array(entry.name.utf8)
    }
    let count = le(UInt16(entries.count))
    return file + directory + [0x50, 0x4b, 5, 6, 0, 0, 0, 0] + count + count + le(UInt32(directory.count))
      + le(UInt32(file.count)) + le(UInt16(comment.count)) + comment
  }

  static let floats: [UInt8] = [Float](arrayLiteral: 0, 1, 2, 3, 4, 5).withUnsafeBytes { [UInt8]($0) }

  /// A PyTorch file around a pickle.
  static func torch(_ pickle: [UInt8], storage: [UInt8] = floats, order: String = "little") -> [UInt8] {
    archive([
      Entry(name: "m/data.pkl", bytes: pickle), Entry(name: "m/byteorder", bytes: Array(order.utf8)),
      Entry(name: "m/data/0", bytes: storage), Entry(name: "m/version", bytes: Array("3\n".utf8)),
    ])
  }
}

/// PyTorch files of the old format.
enum Legacy {
  static let start: [UInt8] =
    Pickle.program([0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19])
    + Pickle.program([0x4d, 0xe9, 3])

  static func file(
    _ pickle: [UInt8], keys: [String] = ["0"], count: Int64 = 6, data: [UInt8] = Zip.floats, littleEndian: Bool = true
  ) -> [UInt8] {
    start + Pickle.program(Pickle.dictionary([("little_endian", [littleEndian ? 0x88 : 0x89])])) + pickle
      + Pickle.program([0x5d, 0x28] + keys.flatMap(Pickle.text) + [0x65]) + le(count) + data
  }
}

/// Safetensors files.
enum Safetensors {
  static func file(_ header: String, data: [UInt8] = [], length: UInt64? = nil) -> [UInt8] {
    le(length ?? UInt64(header.utf8.count)) + Array(header.utf8) + data
  }
  static let sample = file(
    #"{"__metadata__":{"kind":"é\n"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"I64","shape":[],"data_offsets":[24,32]}}"#,
    data: Zip.floats + le(Int64(7)))
}

/// NumPy files.
enum NumPy {
  static func file(_ header: String, data: [UInt8] = Zip.floats, version: UInt8 = 1) -> [UInt8] {
    let length = version == 1 ? le(UInt16(header.utf8.count)) : le(UInt32(header.utf8.count))
    return [0x93] + Array("NUMPY".utf8) + [version, 0] + length + Array(header.utf8) + data
  }
  static let sample = file("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }          \n")

  /// Where the first array of an archive begins, header and all.
  static func start(in bytes: [UInt8]) -> Int? {
    let magic = [0x93] + Array("NUMPY".utf8)
    return bytes.indices.first { bytes[$0] == magic[0] && bytes[$0...].starts(with: magic) }
  }
}

/// Writes bytes to a file in the folder and opens it.
func openBytes(_ bytes: [UInt8], in folder: String, as name: String = "model.pth") throws -> Checkpoint {
  let path = "\(folder)/\(name)"
  try bytes.withUnsafeBytes { buffer in
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    try #require(write(descriptor, buffer.baseAddress, buffer.count) == buffer.count)
  }
  return try Checkpoint.open(path)
}
