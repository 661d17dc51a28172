// Thousands of damaged files per format: each must load or give a FileError, quickly and without using much memory.
//
// Seeds are fixed. Files that load are also used: every tensor is converted and the weights are searched for. Pickles
// and headers are also damaged inside an otherwise sound file, because damage rarely gets past the outer layer.

import Foundation
import MVARCheckpoints
import MVARFiles
import MVARTestSupport
import Testing

struct FuzzTests {
  /// Opens a file and touches everything in it.
  private func exercise(_ bytes: [UInt8], in folder: String) throws -> Bool {
    do {
      let checkpoint = try openBytes(bytes, in: folder)
      for (name, tensor) in checkpoint.tensors where tensor.count < 1 << 16 {
        #expect(try tensor.floats().count == tensor.count)
        #expect(try tensor.doubles().count == tensor.count)
        _ = try? tensor.integers()
        #expect(checkpoint[name]?.count == tensor.count)
      }
      _ = try? checkpoint.weights()
      return true
    } catch let error as FileError {
      let text = error.description
      #expect(text.hasPrefix("\(folder)/model.pth: ") && text.utf8.count < 2000 && !text.contains("\n"), "\(text)")
      return false
    }
  }

  private func fuzz(_ seed: UInt64, _ rounds: Int, _ make: (inout FuzzMutator) throws -> [UInt8]) throws {
    try withTemporaryFolder { folder in
      var mutator = FuzzMutator(seed: seed)
      var loaded = 0
      for _ in 0..<rounds where try exercise(try make(&mutator), in: folder) { loaded += 1 }
      // Some mutants must load and some must fail, or the test tests nothing.
      #expect(loaded > 0 && loaded < rounds, "\(loaded) of \(rounds) loaded")
    }
  }

  private func written(_ write: ([(name: String, tensor: StoredTensor)], String) throws -> Void) throws -> [UInt8] {
    try withTemporaryFolder { folder in
      let tensors = [
        (name: "weight", tensor: try StoredTensor([1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3])),
        (name: "tokens", tensor: try StoredTensor([1, 2] as [Int], shape: [2])),
      ]
      try write(tensors, "\(folder)/file")
      return [UInt8](try Data(contentsOf: URL(filePath: "\(folder)/file")))
    }
  }

  @Test(.timeLimit(.minutes(5))) func torchZip() throws {
    let file = try written(TorchWriter.write)
    try fuzz(1, 1500) { $0.mutant(of: file) }
    let views = [UInt8](try Data(contentsOf: Fixtures.url("golden/files/checkpoint_views.pth")))
    try fuzz(2, 1500) { $0.mutant(of: views) }
  }

  @Test(.timeLimit(.minutes(5))) func picklesInSoundArchives() throws {
    try fuzz(3, 4000) { Zip.torch($0.mutant(of: Pickle.sample)) }
  }

  @Test(.timeLimit(.minutes(5))) func torchLegacy() throws {
    let file = Legacy.file(Pickle.sample)
    try fuzz(4, 3000) { $0.mutant(of: file) }
    let real = [UInt8](try Data(contentsOf: Fixtures.url("golden/files/checkpoint_legacy.pth")))
    try fuzz(5, 300) { mutator in mutator.mutant(of: Array(real.prefix(4000))) + real.dropFirst(4000) }
  }

  @Test(.timeLimit(.minutes(5))) func safetensors() throws {
    try fuzz(6, 3000) { $0.mutant(of: Safetensors.sample) }
    let header = Array(Safetensors.sample.dropFirst(8).dropLast(32))
    try fuzz(7, 3000) { mutator in
      let mutant = mutator.mutant(of: header)
      return le(UInt64(mutant.count)) + mutant + Safetensors.sample.suffix(32)
    }
  }

  @Test(.timeLimit(.minutes(5))) func npy() throws {
    try fuzz(8, 2000) { $0.mutant(of: NumPy.sample) }
  }

  @Test(.timeLimit(.minutes(5))) func npzStored() throws {
    let file = try written(NPZWriter.write)
    try fuzz(9, 1500) { $0.mutant(of: file) }
    let wide = [UInt8](try Data(contentsOf: Fixtures.url("golden/files/cached_latent.npz")))
    try fuzz(10, 500) { $0.mutant(of: wide) }
  }

  @Test(.timeLimit(.minutes(5))) func npzDeflated() throws {
    try fuzz(11, 2000) { $0.mutant(of: Deflated.npz) }
    // Damage inside the compressed stream itself.
    try fuzz(12, 3000) { mutator in
      let stream = mutator.number(below: 4) == 0 ? Deflated.stream : mutator.mutant(of: Deflated.stream)
      return Zip.archive([
        Zip.Entry(name: "z.npy", bytes: stream, method: 8, size: 5128, checksum: Deflated.checksum)
      ])
    }
  }

  @Test func everyPrefixOfEveryFormatIsRefusedOrLoads() throws {
    try withTemporaryFolder { folder in
      for file in [
        Zip.torch(Pickle.sample), Legacy.file(Pickle.sample), Safetensors.sample, NumPy.sample, Deflated.npz,
      ] {
        for length in 0..<file.count {
          let isLoaded = try exercise(Array(file.prefix(length)), in: folder)
          #expect(!isLoaded, "\(length) of \(file.count) bytes")
        }
        #expect(try exercise(file, in: folder))
      }
    }
  }
}

/// A small archive by `numpy.savez_compressed`: a (300 float32), b (2 × 2 int64), z (5000 zero bytes).
enum Deflated {
  static let npz = [UInt8](Data(base64Encoded: text) ?? Data())
  /// The stream of `z.npy`, whose Huffman codes are its own.
  static let stream = Array(npz[0x159..<(0x159 + 103)])
  static let checksum: UInt32 = 0x3eb2_7dc6

  private static let text = """
    UEsDBC0AAAAIAAAAIQBuMol9//////////8FABQAYS5ucHkBABAAMAUAAAAAAABiAAAAAAAAAJvsF+obEMnIUMZQrZ6SWpxcpG6loG6TZqKuo6
    Cell9UUpSYF59flJIKEndLzClOBYoXZyQWpAL5GsYGBjqaOgq1CmQDLgYwaLAHEg5ABMQNQLwAiA84jMqNyo3KjcoNJjkAUEsDBC0AAAAIAAAA
    IQCgREtb//////////8FABQAYi5ucHkBABAAoAAAAAAAAABSAAAAAAAAAJvsF+obEMnIUMZQrZ6SWpxcpG6loG6TaaGuo6Cell9UUpSYF59flJ
    IKEndLzClOBYoXZyQWpAL5GkY6CkaaOgq1CmQDLkYGCGCC0sxQmgVKAwBQSwMELQAAAAgAAAAhAMZ9sj7//////////wUAFAB6Lm5weQEAEAAI
    FAAAAAAAAGcAAAAAAAAA7cgxDoIwGEDhsnqKbj8mHergwgHYMCwOTqaxJQwESIsuyim8MPUKJG7v2977Xq5NeyvUS73Fh/SIUmn5PE9itHRTXK
    Ib71P04fdrN6SQf+rdHHKXZ2utORq96r0OCgAAAAAAAMDfbVBLAQItAy0AAAAIAAAAIQBuMol9YgAAADAFAAAFAAAAAAAAAAAAAACAAQAAAABh
    Lm5weVBLAQItAy0AAAAIAAAAIQCgREtbUgAAAKAAAAAFAAAAAAAAAAAAAACAAZkAAABiLm5weVBLAQItAy0AAAAIAAAAIQDGfbI+ZwAAAAgUAA
    AFAAAAAAAAAAAAAACAASIBAAB6Lm5weVBLBQYAAAAAAwADAJkAAADAAQAAAAA=
    """.filter { !$0.isWhitespace }
}
