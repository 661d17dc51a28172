// A safetensors file is recognized whatever the length of its header: some lengths begin with the bytes of a pickle.

import MVARCheckpoints
import MVARTestSupport
import Testing

@Suite("safetensors headers of every length")
struct SafetensorsHeaderTests {
  @Test func lengthsThatBeginLikeAPickle() throws {
    try withTemporaryFolder { folder in
      let path = "\(folder)/model.safetensors"
      var lengths: Set<UInt8> = []
      for count in stride(from: 0, to: 1500, by: 8) {
        let tensor = try StoredTensor([1 as Float, 2], shape: [2])
        let metadata = ["note": String(repeating: "x", count: count)]
        try SafetensorsWriter.write([(name: "a", tensor: tensor)], metadata: metadata, to: path)
        let file = try MappedFile(path: path)
        lengths.insert(file.byte(at: 0) ?? 0)
        let checkpoint = try Checkpoint.open(path)
        #expect(checkpoint.metadata == metadata && checkpoint.tensors.count == 1)
      }
      #expect(lengths.contains(0x80))
    }
  }
}
