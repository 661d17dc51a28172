// Number formats, strides, and files written here read back here.
//
// That PyTorch, safetensors and NumPy read the same files was checked by hand; these tests need none of them.

import Foundation
import MVARCheckpoints
import MVARFiles
import MVARTestSupport
import Testing

struct NumberTests {
  private func tensor(_ type: ScalarType, _ bits: [some FixedWidthInteger]) throws -> StoredTensor {
    try StoredTensor(
      scalarType: type, shape: [bits.count], bytes: bits.flatMap { value in withUnsafeBytes(of: value) { [UInt8]($0) } }
    )
  }

  @Test func allHalvesWidenExactly() throws {
    let bits = (0...UInt16.max).map { $0 }
    let floats = try tensor(.float16, bits).floats()
    for (bits, value) in zip(bits, floats) {
      let expected = Float(Float16(bitPattern: bits))
      if expected.isNaN {
        #expect(value.isNaN && value.sign == expected.sign)
      } else if value.bitPattern != expected.bitPattern {
        Issue.record("half \(bits): \(value) instead of \(expected)")
      }
    }
    #expect(try tensor(.float16, bits[0...0x7bff].map { $0 }).doubles().last == 65504)
  }

  @Test func allBFloat16PatternsWidenExactly() throws {
    let bits = (0...UInt16.max).map { $0 }
    for (bits, value) in zip(bits, try tensor(.bfloat16, bits).floats()) where value.bitPattern != UInt32(bits) << 16 {
      Issue.record("bfloat16 \(bits): \(value)")
    }
  }

  @Test func eightBitFloatsFollowTheirDefinition() throws {
    let bits = (0...UInt8.max).map { $0 }
    let e4m3 = try tensor(.float8e4m3, bits).doubles()
    let e5m2 = try tensor(.float8e5m2, bits).doubles()
    for bit in bits {
      let sign: Double = bit >= 0x80 ? -1 : 1
      var (exponent, mantissa) = (Int(bit >> 3 & 15), Double(bit & 7) / 8)
      let expected = exponent == 0 ? sign * mantissa * exp2(-6) : sign * (1 + mantissa) * exp2(Double(exponent - 7))
      #expect(bit & 0x7f == 0x7f ? e4m3[Int(bit)].isNaN : e4m3[Int(bit)] == expected)
      (exponent, mantissa) = (Int(bit >> 2 & 31), Double(bit & 3) / 4)
      if exponent == 31 {
        #expect(mantissa == 0 ? e5m2[Int(bit)] == sign * .infinity : e5m2[Int(bit)].isNaN)
      } else {
        #expect(
          e5m2[Int(bit)]
            == (exponent == 0 ? sign * mantissa * exp2(-14) : sign * (1 + mantissa) * exp2(Double(exponent - 15))))
      }
    }
  }

  @Test func integersOfEveryWidthConvert() throws {
    #expect(try tensor(.int64, [Int64.min, -1, .max]).integers() == [.min, -1, .max])
    #expect(try tensor(.int32, [Int32.min, -1]).floats() == [-2_147_483_648, -1])
    #expect(try tensor(.int16, [Int16.min, 7]).doubles() == [-32768, 7])
    #expect(try tensor(.int8, [Int8.min, 7]).integers() == [-128, 7])
    #expect(try tensor(.uint8, [UInt8.max]).floats() == [255])
    #expect(try tensor(.uint16, [UInt16.max]).integers() == [65535])
    #expect(try tensor(.uint32, [UInt32.max]).doubles() == [4_294_967_295])
    #expect(try tensor(.uint64, [UInt64(5)]).integers() == [5])
    #expect(try tensor(.uint64, [UInt64.max]).floats() == [18_446_744_073_709_551_616])
    #expect(throws: FileError.self) { try tensor(.uint64, [UInt64.max]).integers() }
    #expect(try tensor(.bool, [UInt8(0), 1, 2]).integers() == [0, 1, 1])
    #expect(try StoredTensor([3.0, -4.0] as [Float], shape: [2]).integers() == [3, -4])
    for bad in [0.5, .nan, .infinity, 1e300] as [Double] {
      #expect(throws: FileError.self) { try StoredTensor([bad], shape: [1]).integers() }
    }
    #expect(throws: FileError.self) { try StoredTensor([1] as [Float], shape: [2]) }
    #expect(throws: FileError.self) { try StoredTensor([] as [Float], shape: [-1]) }
    #expect(try StoredTensor([] as [Float], shape: [0, 7]).floats() == [])
  }

  @Test func namesOfTypesAreUnique() {
    for type in ScalarType.allCases {
      #expect(ScalarType(safetensorsName: type.safetensorsName) == type)
      #expect(ScalarType(torchName: type.torchName) == type)
      if let name = type.torchStorageName { #expect(ScalarType(torchStorageName: name) == type) }
      if let name = type.numpyDescriptor { #expect(ScalarType(numpyDescriptor: name) == type) }
    }
    for name in ["", "<", "<<f4", "|f4", ">f4", "f3", "<U5", "O"] { #expect(ScalarType(numpyDescriptor: name) == nil) }
  }

  @Test func stridedViewsOfEveryWidthGather() throws {
    for type in [ScalarType.uint8, .int16, .int32, .int64] {
      let values = (0..<60).map { $0 }
      let bytes = values.flatMap { value in (0..<type.byteWidth).map { $0 == 0 ? UInt8(value) : 0 } }
      let view = try StoredTensor(
        scalarType: type, shape: [2, 3, 1, 5], strides: [30, 1, 999, 6], offset: 1, storage: ByteRegion(bytes))
      var expected: [Int] = []
      for a in 0..<2 { for b in 0..<3 { for d in 0..<5 { expected.append(1 + 30 * a + b + 6 * d) } } }
      #expect(try view.integers() == expected)
      let expanded = try StoredTensor(
        scalarType: type, shape: [3, 2], strides: [0, 1], offset: 4, storage: ByteRegion(bytes))
      #expect(try expanded.integers() == [4, 5, 4, 5, 4, 5])
    }
  }
}

struct RoundTripTests {
  private func bytes(_ tensor: StoredTensor) throws -> [UInt8] { try tensor.withContiguousBytes { [UInt8]($0) } }

  private func expectSame(_ first: Checkpoint, _ second: Checkpoint) throws {
    #expect(first.tensors.map(\.name) == second.tensors.map(\.name))
    for ((name, one), (_, two)) in zip(first.tensors, second.tensors) {
      #expect(
        try one.shape == two.shape && one.scalarType == two.scalarType && bytes(one) == bytes(two), "\(name)")
    }
  }

  @Test(arguments: ["bare", "published", "training", "half", "legacy", "views"])
  func torchToSafetensorsToTorchKeepsEveryByte(name: String) throws {
    try withTemporaryFolder { folder in
      let original = try Checkpoint.open(Fixtures.path("golden/files/checkpoint_\(name).pth"))
      try SafetensorsWriter.write(
        original.tensors, metadata: ["kind": "a \"test\" \u{1} ü"], to: "\(folder)/a.safetensors")
      let middle = try Checkpoint.open("\(folder)/a.safetensors")
      #expect(middle.format == .safetensors && middle.metadata == ["kind": "a \"test\" \u{1} ü"])
      try expectSame(original, middle)
      for (name, tensor) in middle.tensors {
        #expect(tensor.contiguousBytes().map { $0.offset % tensor.scalarType.byteWidth } == 0, "\(name)")
      }
      if name != "views" { #expect(try middle.weights(containing: "word_embed.weight").tensors.count == 25) }
      try TorchWriter.write(middle.tensors, to: "\(folder)/b.pth")
      let last = try Checkpoint.open("\(folder)/b.pth")
      #expect(last.format == .torch)
      try expectSame(original, last)
      for (name, tensor) in last.tensors { #expect(tensor.contiguousBytes().map { $0.offset % 64 } == 0, "\(name)") }
      let names = try FileManager.default.contentsOfDirectory(atPath: folder)
      #expect(names.sorted() == ["a.safetensors", "b.pth"])
    }
  }

  @Test func everyTypeSurvivesEveryFormat() throws {
    try withTemporaryFolder { folder in
      let tensors =
        try ScalarType.allCases.map { type in
          (
            name: "a.\(type)",
            tensor: try StoredTensor(
              scalarType: type, shape: [2, 3], bytes: (0..<(6 * type.byteWidth)).map { UInt8($0 % 2) })
          )
        } + [
          (name: "scalar", tensor: StoredTensor([7] as [Float], shape: [])),
          (name: "empty", tensor: StoredTensor([] as [Int], shape: [0, 3])),
        ]
      try SafetensorsWriter.write(tensors, to: "\(folder)/a")
      try TorchWriter.write(tensors, to: "\(folder)/b")
      let numeric = tensors.filter { $0.tensor.scalarType.numpyDescriptor != nil }
      try NPZWriter.write(numeric, to: "\(folder)/c")
      for (path, expected) in [("a", tensors), ("b", tensors), ("c", numeric)] {
        let checkpoint = try Checkpoint.open("\(folder)/\(path)")
        #expect(checkpoint.tensors.map(\.name) == expected.map(\.name))
        for ((name, one), (_, two)) in zip(checkpoint.tensors, expected) {
          #expect(
            try one.shape == two.shape && one.scalarType == two.scalarType && bytes(one) == bytes(two),
            "\(path) \(name)")
        }
      }
      try NPYWriter.write(tensors[0].tensor, to: "\(folder)/d")
      #expect(try Checkpoint.open("\(folder)/d")["array"].map(bytes) == bytes(tensors[0].tensor))
      #expect(throws: FileError.self) { try NPZWriter.write(tensors, to: "\(folder)/e") }
      #expect(!FileManager.default.fileExists(atPath: "\(folder)/e"))
      try SafetensorsWriter.write([], to: "\(folder)/f")
      #expect(try Checkpoint.open("\(folder)/f").tensors.isEmpty)
      try NPZWriter.write([], to: "\(folder)/g")
      #expect(try Checkpoint.open("\(folder)/g").format == .npz)
      try TorchWriter.write([], to: "\(folder)/h")
      #expect(try Checkpoint.open("\(folder)/h").format == .torch)
    }
  }

  @Test func namesThatCannotBeWrittenAreRefused() throws {
    try withTemporaryFolder { folder in
      let tensor = try StoredTensor([1] as [Float], shape: [1])
      for write in [
        { try SafetensorsWriter.write([("a", tensor), ("a", tensor)], to: $0) },
        { try SafetensorsWriter.write([("__metadata__", tensor)], to: $0) },
        { try TorchWriter.write([("a", tensor), ("a", tensor)], to: $0) },
        { try NPZWriter.write([("a", tensor), ("a", tensor)], to: $0) },
      ] as [(String) throws -> Void] {
        #expect(throws: FileError.self) { try write("\(folder)/x") }
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
  }
}

struct AtomicFileTests {
  @Test func aFailureLeavesTheOldFileAndNothingElse() throws {
    struct Failure: Error {}
    try withTemporaryFolder { folder in
      let path = "\(folder)/model"
      try AtomicFile.write(to: path) { try $0.write("old") }
      #expect(throws: Failure.self) {
        try AtomicFile.write(to: path) { output in
          try output.write([UInt8](repeating: 1, count: 3 << 20))
          throw Failure()
        }
      }
      #expect(try String(contentsOfFile: path, encoding: .utf8) == "old")
      try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: path)
      try FileManager.default.createSymbolicLink(atPath: "\(folder)/link", withDestinationPath: path)
      try AtomicFile.write(to: "\(folder)/link") { try $0.write("new") }
      #expect(try String(contentsOfFile: path, encoding: .utf8) == "new")
      #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o640)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["link", "model"])
    }
  }

  @Test(.enabled(if: FileManager.default.fileExists(atPath: "/dev/full"))) func aFullDiskIsAnError() throws {
    let descriptor = open("/dev/full", O_WRONLY)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    var output = FileOutput(descriptor: descriptor, path: "out.pth")
    var message = ""
    do {
      try output.write([UInt8](repeating: 0, count: 2 << 20))
      try output.finish()
    } catch { message = "\(error)" }
    #expect(message == "out.pth: cannot be written: No space left on device")
  }

  @Test func placesThatCannotBeWrittenAreErrors() throws {
    try withTemporaryFolder { folder in
      try AtomicFile.write(to: "\(folder)/file") { try $0.write("x") }
      for (path, reason) in [
        ("\(folder)", "is a folder"), ("\(folder)/", "is a folder"), ("\(folder)/missing/file", "No such file"),
        ("/dev/null", "not a regular file"),
        ("", "an empty file name"), ("\(folder)/a\0b", "a zero byte"), ("\(folder)/file/x", "Not a directory"),
        ("\(folder)/\(String(repeating: "x", count: 300))", "File name too long"),
      ] {
        let error = #expect(throws: FileError.self) { try AtomicFile.write(to: path) { try $0.write("x") } }
        #expect(error?.description.contains(reason) == true, "\(String(describing: error))")
      }
    }
  }
}
