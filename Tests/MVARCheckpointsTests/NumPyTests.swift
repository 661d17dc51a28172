// NumPy files: memory orders, header versions, decompression, and archives written piece by piece.

import Foundation
import MVARCheckpoints
import MVARFiles
import MVARTestSupport
import Testing

struct NumPyTests {
  @Test func columnMajorArraysAreReadInRowMajorOrder() throws {
    try withTemporaryFolder { folder in
      for version in [UInt8(1), 2, 3] {
        let header = "{\"descr\": '<f4', 'shape': (2, 3), 'fortran_order': True}\n"
        let array = try #require(try openBytes(NumPy.file(header, version: version), in: folder)["array"])
        #expect(array.shape == [2, 3])
        #expect(try array.floats() == [0, 2, 4, 1, 3, 5])
      }
      let empty = "{'descr': '<f4', 'fortran_order': True, 'shape': (0, 3), }"
      #expect(try openBytes(NumPy.file(empty, data: []), in: folder)["array"]?.floats() == [])
      let scalar = "{'descr': '<f8', 'fortran_order': False, 'shape': (), }"
      #expect(try openBytes(NumPy.file(scalar, data: le(Double(3).bitPattern)), in: folder)["array"]?.doubles() == [3])
    }
  }

  @Test func compressedMembersHaveTheirValues() throws {
    try withTemporaryFolder { folder in
      let archive = try openBytes(Deflated.npz, in: folder)
      #expect(archive.format == .npz)
      #expect(try archive["a"]?.integers() == (0..<300).map { $0 % 7 })
      #expect(try archive["b"]?.integers() == [1, 2, 3, 4] && archive["b"]?.shape == [2, 2])
      #expect(try archive["z"]?.integers() == [Int](repeating: 0, count: 5000))
      #expect(archive["a"]?.contiguousBytes() == nil)
    }
  }

  @Test func deflateBlocksThatAreStoredAreCopied() throws {
    // Two stored blocks, the first of them not the last, around an array of one element.
    let file = NumPy.file("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", data: [0, 0, 0x80, 0x3f])
    func block(_ bytes: ArraySlice<UInt8>, isLast: Bool) -> [UInt8] {
      [isLast ? 1 : 0] + le(UInt16(bytes.count)) + le(~UInt16(bytes.count)) + bytes
    }
    let stream = block(file[..<20], isLast: false) + block(file[20...], isLast: true)
    let entry = Zip.Entry(
      name: "x.npy", bytes: stream, method: 8, size: UInt32(file.count), checksum: Zip.checksum(file))
    let values = try withTemporaryFolder { try openBytes(Zip.archive([entry]), in: $0)["x"]?.floats() }
    #expect(values == [1])
  }

  @Test func archivesCanBeWrittenPieceByPiece() throws {
    try withTemporaryFolder { folder in
      let path = "\(folder)/samples.npz"
      try NPZWriter.write("arr_0", scalarType: .uint8, shape: [3, 2 << 20], to: path) { output in
        for image in UInt8(1)...3 { try output.write([UInt8](repeating: image, count: 2 << 20)) }
      }
      let tensor = try #require(try Checkpoint.open(path)["arr_0"])
      #expect(tensor.shape == [3, 2 << 20])
      // Elements are compared with the checksum, so they are not used in place.
      #expect(tensor.contiguousBytes() == nil)
      #expect(try tensor.integers().enumerated().allSatisfy { $0.element == 1 + $0.offset >> 21 })
      // The header's checksum, which is filled in last, is that of the entry.
      let bytes = [UInt8](try Data(contentsOf: URL(filePath: path)))
      let start = try #require(NumPy.start(in: bytes))
      #expect(start % 64 == 0)
      let checksum = Zip.checksum(Array(bytes[start..<(start + 128 + 3 * (2 << 20))]))
      #expect(Array(bytes[14..<18]) == le(checksum))

      for count in [1, 100] {
        let error = #expect(throws: FileError.self) {
          try NPZWriter.write("a", scalarType: .uint8, shape: [50], to: path) {
            try $0.write([UInt8](repeating: 0, count: count))
          }
        }
        #expect(error?.description.hasPrefix("\(path): cannot be written: ") == true)
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["samples.npz"])
      #expect(try Checkpoint.open(path)["arr_0"] != nil)
    }
  }
}
