// Files that hold values in another form: compressed, or with the most significant byte first. Values are decoded where
// they are read, and damage is noticed there.

import Foundation
import MVARCheckpoints
import MVARFiles
import MVARTestSupport
import Testing

struct EncodedFileTests {
  /// DEFLATE without compression: stored blocks.
  private static func deflated(_ bytes: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    var rest = bytes[...]
    repeat {
      let block = rest.prefix(0xffff)
      rest = rest.dropFirst(block.count)
      result += [rest.isEmpty ? 1 : 0] + le(UInt16(block.count)) + le(~UInt16(block.count)) + block
    } while !rest.isEmpty
    return result
  }
  private static func entry(_ name: String, _ bytes: [UInt8]) -> Zip.Entry {
    Zip.Entry(
      name: name, bytes: deflated(bytes), method: 8, size: UInt32(bytes.count), checksum: Zip.checksum(bytes))
  }

  @Test func compressedMembersOfPyTorchFilesAreRead() throws {
    let values = (0..<50_000).map { Float($0) }
    let bytes = values.withUnsafeBytes { [UInt8]($0) }
    let root = Pickle.dictionary([
      ("a", Pickle.tensor(Pickle.storage("0", count: values.count), shape: [values.count], strides: [1])),
      ("part", Pickle.tensor(Pickle.storage("0", count: values.count), offset: 20_001, shape: [20_000], strides: [1])),
      ("view", Pickle.tensor(Pickle.storage("0", count: values.count), offset: 7, shape: [2, 3], strides: [1, 2])),
    ])
    try withTemporaryFolder { folder in
      let file = Zip.archive([
        Self.entry("m/data.pkl", Pickle.program(root)), Self.entry("m/byteorder", Array("little".utf8)),
        Self.entry("m/data/0", bytes),
      ])
      let checkpoint = try openBytes(file, in: folder)
      #expect(try checkpoint["a"]?.floats() == values)
      #expect(try checkpoint["part"]?.floats() == Array(values[20_001..<40_001]))
      #expect(try checkpoint["view"]?.floats() == [7, 9, 11, 8, 10, 12])
      #expect(try checkpoint["part"]?.element([19_999]) == 40_000)
      #expect(checkpoint["a"]?.contiguousBytes() == nil)
      // Written again, they are stored.
      try TorchWriter.write(checkpoint.tensors, to: "\(folder)/b.pth")
      #expect(try Checkpoint.open("\(folder)/b.pth")["part"]?.floats() == Array(values[20_001..<40_001]))
      var damaged = file
      let place = try #require(damaged.indices.first { damaged[$0...].starts(with: bytes[80_000..<80_020]) })
      damaged[place] ^= 1
      let error = #expect(throws: FileError.self) { try openBytes(damaged, in: folder)["a"]?.floats() }
      #expect(
        error?.description
          == "\(folder)/model.pth: zip entry \"m/data/0\": the contents do not match their checksum")
    }
  }

  @Test func damageInStoredArraysIsNoticed() throws {
    let values = (0..<600_000).map { Float($0) }
    let bytes = NumPy.file(
      "{'descr': '<f4', 'fortran_order': False, 'shape': (600000,), }", data: values.withUnsafeBytes { [UInt8]($0) })
    let file = Zip.archive([
      Zip.Entry(name: "x.npy", bytes: bytes, method: 0, size: UInt32(bytes.count), checksum: Zip.checksum(bytes))
    ])
    try withTemporaryFolder { folder in
      let whole = try openBytes(file, in: folder)
      #expect(try whole["x"]?.floats() == values)
      #expect(try whole["x"]?.element([599_999]) == 599_999)
      var damaged = file
      damaged[file.count / 2] ^= 1
      let error = #expect(throws: FileError.self) { try openBytes(damaged, in: folder)["x"]?.floats() }
      #expect(error?.description.hasSuffix(": zip entry \"x.npy\": the contents do not match their checksum") == true)

      // An array without elements has nothing that is read later.
      let empty = NumPy.file("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 8), }", data: [])
      var other = empty
      other[try #require(empty.firstIndex(of: UInt8(ascii: "8")))] = UInt8(ascii: "9")
      for (bytes, isSound) in [(empty, true), (other, false)] {
        let entry = Zip.Entry(
          name: "x.npy", bytes: bytes, method: 0, size: UInt32(bytes.count), checksum: Zip.checksum(empty))
        #expect((try? openBytes(Zip.archive([entry]), in: folder)["x"]?.shape) == (isSound ? [0, 8] : nil))
      }
    }
  }

  @Test func bigEndianFilesGiveTheSameValues() throws {
    let big = (0..<6).flatMap { withUnsafeBytes(of: Float($0).bitPattern.bigEndian) { [UInt8]($0) } }
    try withTemporaryFolder { folder in
      let torch = try openBytes(Zip.torch(Pickle.sample, storage: big, order: "big"), in: folder)
      #expect(try torch["a"]?.floats() == [0, 1, 2, 3, 4, 5])
      #expect(try torch["b.0"]?.floats() == [1, 3, 2, 4])
      // The old format's storages are little-endian whatever the machine.
      #expect(
        try openBytes(Legacy.file(Pickle.sample, littleEndian: false), in: folder)["a"]?.floats() == [0, 1, 2, 3, 4, 5])
      func numbers(_ width: Int) -> [UInt8] {
        (0..<6).flatMap { [UInt8](repeating: 0, count: width - 1) + [UInt8($0)] }
      }
      for (code, bytes) in [(">f4", big), (">i2", numbers(2)), (">u1", numbers(1)), (">i8", numbers(8))] {
        let header = "{'descr': '\(code)', 'fortran_order': False, 'shape': (2, 3), }"
        #expect(try openBytes(NumPy.file(header, data: bytes), in: folder)["array"]?.floats() == [0, 1, 2, 3, 4, 5])
        let fortran = header.replacing("False", with: "True")
        #expect(try openBytes(NumPy.file(fortran, data: bytes), in: folder)["array"]?.floats() == [0, 2, 4, 1, 3, 5])
        let archive = Zip.archive([Self.entry("x.npy", NumPy.file(header, data: bytes))])
        #expect(try openBytes(archive, in: folder)["x"]?.floats() == [0, 1, 2, 3, 4, 5])
      }
    }
  }

  @Test func numbersThatAreNotFiniteAreCountedByTheirBits() throws {
    for type in ScalarType.allCases where type.isFloatingPoint {
      let bits: [UInt64] =
        switch type {
        case .float64: [0, 0x7ff0_0000_0000_0000, 0x7fef_ffff_ffff_ffff, 0xfff8_0000_0000_0000]
        case .float32: [0, 0x7f80_0000, 0x7f7f_ffff, 0xffc0_0000]
        case .float16: [0, 0x7c00, 0x7bff, 0xfe00]
        case .bfloat16: [0, 0x7f80, 0x7f7f, 0xffc0]
        case .float8e4m3: [0, 0x7f, 0x7e, 0xff]
        default: [0, 0x7c, 0x7b, 0xff]
        }
      let bytes = bits.flatMap { le($0).prefix(type.byteWidth) }
      let tensor = try StoredTensor(scalarType: type, shape: [2, 2], bytes: bytes)
      let found = try #require(try tensor.nonFinite())
      #expect(found.count == 2 && found.place == [0, 1] && !found.value.isFinite, "\(type)")
      #expect(
        try StoredTensor(scalarType: type, shape: [1], bytes: Array(bytes.prefix(type.byteWidth))).nonFinite() == nil)
    }
    #expect(try StoredTensor([Int.max], shape: [1]).nonFinite() == nil)
    // Beyond the first piece of a mapped file.
    try withTemporaryFolder { folder in
      var values = [Float](repeating: 1, count: 600_000)
      for place in [300_001, 599_999] { values[place] = .nan }
      try SafetensorsWriter.write([("a", StoredTensor(values, shape: [600, 1000]))], to: "\(folder)/a")
      let found = try #require(try Checkpoint.open("\(folder)/a")["a"]?.nonFinite())
      #expect(found.count == 2 && found.place == [300, 1] && found.value.isNaN)
    }
  }
}
