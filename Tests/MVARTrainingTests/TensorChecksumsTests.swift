// Bits that a disk has flipped in the checkpoint of a training: wherever they are among the tensors, the run is not resumed.

import Foundation
import MVARCheckpoints
import MVARFiles
import MVARTestSupport
import MVARTraining
import TensorCore
import Testing

@Suite("checksums of a training's checkpoint")
struct TensorChecksumsTests {
  @Test("a flipped bit anywhere among the tensors is found, and its tensor is named")
  func flips() throws {
    try withTemporaryFolder { folder in
      let good = "\(folder)/good.safetensors"
      let bad = "\(folder)/bad.safetensors"
      var session = try TinyTraining.tokenizerSession(steps: 6, batch: 3) { $0.reviveEvery = 2 }
      for iteration in 0..<2 { _ = try session.step(iteration) }
      try session.save(iterations: 2, to: good)
      var resumed = try TinyTraining.tokenizerSession(steps: 6, batch: 3) { $0.reviveEvery = 2 }
      #expect(try resumed.restore(from: good) == 2)

      let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: good)))
      let header = 8 + bytes[0..<8].enumerated().reduce(0) { $0 + Int($1.element) << (8 * $1.offset) }
      let stream = RandomStream(seed: 3, stream: 0)
      var named = 0
      for trial in 0..<60 {
        let place = header + Int(stream.uniform(trial, purpose: .shuffling) * Double(bytes.count - header))
        var flipped = bytes
        flipped[place] ^= 1 << UInt8(trial % 8)
        try Data(flipped).write(to: URL(fileURLWithPath: bad))
        var session = try TinyTraining.tokenizerSession(steps: 6, batch: 3) { $0.reviveEvery = 2 }
        let error = #expect(throws: FileError.self, "bit \(trial % 8) of byte \(place)") {
          try session.restore(from: bad)
        }
        if error?.reason.contains(" is damaged: its bytes are not those that were written") == true { named += 1 }
      }
      // The others are counts that nothing could have counted, or numbers that are not finite.
      #expect(named >= 50)
    }
  }

  @Test("a file without checksums is read, one with too few is not")
  func absent() throws {
    try withTemporaryFolder { folder in
      let good = "\(folder)/good.safetensors"
      let other = "\(folder)/other.safetensors"
      var session = try TinyTraining.tokenizerSession(steps: 6, batch: 3)
      _ = try session.step(0)
      try session.save(iterations: 1, to: good)
      let file = try Checkpoint.open(good)
      #expect(file.tensors.last?.name == "trainer.checksums")

      let rest = file.tensors.filter { $0.name != "trainer.checksums" }
      try SafetensorsWriter.write(rest, metadata: file.metadata, to: other)
      var resumed = try TinyTraining.tokenizerSession(steps: 6, batch: 3)
      #expect(try resumed.restore(from: other) == 1)

      let short = try StoredTensor(scalarType: .uint8, shape: [1, 4], bytes: [0, 0, 0, 0])
      try SafetensorsWriter.write(rest + [("trainer.checksums", short)], metadata: file.metadata, to: other)
      var refused = try TinyTraining.tokenizerSession(steps: 6, batch: 3)
      let error = #expect(throws: FileError.self) { try refused.restore(from: other) }
      #expect(
        error?.reason == "trainer.checksums is uint8 [1, 4], and \(rest.count) tensors have uint8 [\(rest.count), 4]")
    }
  }
}
