// Cached tokens: the published example, a round trip, whole folders, and every way in which a file can be wrong.

import Foundation
import MVARCheckpoints
import MVARFiles
import MVARTestSupport
import MVARTraining
import Testing

@Suite("Cached tokens")
struct DataLatentTests {
  private let image = LatentFile.Moments(tokens: [0, 6, 3], inputs: [0.5, -1, 2, 1e-30])
  private let flipped = LatentFile.Moments(tokens: [1, 2, 4], inputs: [7, .leastNonzeroMagnitude, -0.0, 3])

  private func withFolder(_ body: (SampleFolder) throws -> Void) throws {
    try withTemporaryFolder { try body(SampleFolder(path: $0)) }
  }

  @Test("the published example")
  func golden() throws {
    let path = Fixtures.path("golden/files/cached_latent.npz")
    let file = try LatentFile(path: path, length: 130, codeWidth: 8, vocabulary: 64)
    let stored = try Checkpoint.open(path)
    #expect(file.image.tokens.map(Int.init) == (try stored["moments_gt"]?.integers()))
    #expect(file.flipped.tokens.map(Int.init) == (try stored["moments_gt_flip"]?.integers()))
    #expect(file.image.inputs == (try stored["moments_x"]?.floats()))
    #expect(file.flipped.inputs == (try stored["moments_x_flip"]?.floats()))
    #expect(file.image.tokens != file.flipped.tokens)
    try withFolder { folder in
      try file.write(to: folder.at("again.npz"))
      let again = try Checkpoint.open(folder.at("again.npz"))
      #expect(again.tensors.map(\.name) == stored.tensors.map(\.name))
      #expect(again.tensors.map(\.tensor.scalarType) == [.int64, .int64, .float32, .float32])
      #expect(try LatentFile(path: folder.at("again.npz"), length: 130, codeWidth: 8, vocabulary: 64) == file)
    }
  }

  @Test("what is written is read")
  func roundTrip() throws {
    try withFolder { folder in
      let file = LatentFile(image: image, flipped: flipped)
      try file.write(to: folder.at("a.npz"))
      let read = try LatentFile(path: folder.at("a.npz"), length: 3, codeWidth: 2, vocabulary: 7)
      #expect(read == file)
      #expect(read.flipped.inputs[2].sign == .minus)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["a.npz"])
    }
  }

  @Test("what cannot be written")
  func unwritable() throws {
    try withFolder { folder in
      func sentence(_ image: LatentFile.Moments, _ flipped: LatentFile.Moments, _ name: String = "a.npz") -> String {
        folder.sentence { try LatentFile(image: image, flipped: flipped).write(to: folder.at(name)) }
      }
      let short = LatentFile.Moments(tokens: [1, 2], inputs: [1, 2])
      #expect(sentence(image, short) == "./a.npz: cannot hold an image and a flipped one of another length")
      let odd = LatentFile.Moments(tokens: [1, 2, 3], inputs: [1, 2, 3])
      #expect(sentence(odd, odd) == "./a.npz: cannot hold 3 tokens with 3 numbers of input")
      let none = LatentFile.Moments(tokens: [], inputs: [])
      #expect(sentence(none, none) == "./a.npz: cannot hold 0 tokens with 0 numbers of input")
      let infinite = LatentFile.Moments(tokens: [1, 2, 3], inputs: [1, 2, .infinity, 3])
      #expect(
        sentence(image, infinite) == "./a.npz: holds inf in moments_x_flip at [1, 0], and inputs are finite")
      #expect(sentence(image, flipped, "none/a.npz").hasPrefix("./none/a.npz: cannot be written"))
      let left = try FileManager.default.contentsOfDirectory(atPath: folder.path)
      #expect(left.isEmpty)
    }
  }

  /// The arrays of a good file, some of them replaced or left out.
  private func arrays(_ changed: [String: StoredTensor?]) throws -> [(name: String, tensor: StoredTensor)] {
    let good: [(String, StoredTensor)] = [
      ("moments_gt", try StoredTensor([0, 6, 3], shape: [3])),
      ("moments_gt_flip", try StoredTensor([1, 2, 4], shape: [3])),
      ("moments_x", try StoredTensor([1, 2, 3, 4] as [Float], shape: [2, 2])),
      ("moments_x_flip", try StoredTensor([1, 2, 3, 4] as [Float], shape: [2, 2])),
    ]
    return good.compactMap { name, tensor in
      guard let change = changed[name] else { return (name, tensor) }
      return change.map { (name, $0) }
    }
  }

  @Test("files that are refused")
  func hostile() throws {
    let tensor: ([Int], [Int]) throws -> StoredTensor = { try StoredTensor($0, shape: $1) }
    let cases: [([String: StoredTensor?], String)] = [
      (["moments_gt": nil], "lacks the array moments_gt"),
      (["moments_x_flip": nil], "lacks the array moments_x_flip"),
      (
        ["moments_gt": try StoredTensor([0, 6, 3] as [Float], shape: [3])],
        "holds moments_gt as float32, and it is int64"
      ),
      (
        ["moments_x": try StoredTensor([1, 2, 3, 4] as [Double], shape: [2, 2])],
        "holds moments_x as float64, and it is float32"
      ),
      (["moments_gt": try tensor([0, 6], [2])], "holds moments_gt of shape [2], and the model needs [3]"),
      (
        ["moments_gt_flip": try tensor([0, 6, 1], [1, 3])],
        "holds moments_gt_flip of shape [1, 3], and the model needs [3]"
      ),
      (
        ["moments_x": try StoredTensor([1, 2, 3, 4] as [Float], shape: [4])],
        "holds moments_x of shape [4], and the model needs [2, 2]"
      ),
      (["moments_gt": try tensor([0, 7, 3], [3])], "holds the token 7 in moments_gt at 1, and tokens are 0 … 6"),
      (
        ["moments_gt_flip": try tensor([0, 3, -1], [3])],
        "holds the token -1 in moments_gt_flip at 2, and tokens are 0 … 6"
      ),
      (
        ["moments_gt": try tensor([1 << 40, 3, 1], [3])],
        "holds the token 1099511627776 in moments_gt at 0, and tokens are 0 … 6"
      ),
      (
        ["moments_x": try StoredTensor([1, 2, 3, .nan] as [Float], shape: [2, 2])],
        "holds nan in moments_x at [1, 1], and inputs are finite"
      ),
      (
        ["moments_x_flip": try StoredTensor([-.infinity, 2, 3, 4] as [Float], shape: [2, 2])],
        "holds -inf in moments_x_flip at [0, 0], and inputs are finite"
      ),
    ]
    try withFolder { folder in
      for (changed, problem) in cases {
        try NPZWriter.write(try arrays(changed), to: folder.at("a.npz"))
        let sentence = folder.sentence {
          _ = try LatentFile(path: folder.at("a.npz"), length: 3, codeWidth: 2, vocabulary: 7)
        }
        #expect(sentence == "./a.npz: \(problem)")
      }
      func sentence(_ name: String) -> String {
        folder.sentence { _ = try LatentFile(path: folder.at(name), length: 3, codeWidth: 2, vocabulary: 7) }
      }
      try folder.write([UInt8](), "empty.npz")
      #expect(sentence("empty.npz") == "./empty.npz: is empty")
      try folder.write(grayPNG, "image.npz")
      #expect(sentence("image.npz") == "./image.npz: is a PNG image, not a checkpoint")
      try NPYWriter.write(try StoredTensor([0, 6, 3], shape: [3]), to: folder.at("one.npz"))
      #expect(sentence("one.npz") == "./one.npz: is a npy file, not an npz archive")
      #expect(sentence("missing.npz") == "./missing.npz: the file does not exist")
    }
  }

  @Test("damaged files are errors, never crashes")
  func fuzz() throws {
    try withFolder { folder in
      try LatentFile(image: image, flipped: flipped).write(to: folder.at("good.npz"))
      let good = [UInt8](try Data(contentsOf: URL(filePath: folder.at("good.npz"))))
      var mutator = FuzzMutator(seed: 11)
      for _ in 0..<500 {
        try folder.write(mutator.mutant(of: good), "bad.npz")
        do {
          _ = try LatentFile(path: folder.at("bad.npz"), length: 3, codeWidth: 2, vocabulary: 7)
        } catch let error as FileError {
          #expect(error.description.hasPrefix(folder.at("bad.npz") + ": "))
        }
      }
    }
  }

  @Test("folders of cached images")
  func folders() throws {
    try withFolder { folder in
      let file = LatentFile(image: image, flipped: flipped)
      for name in ["train/dog/1.npz", "train/cat/2.NPZ", "train/cat/1.npz", "val/dog/9.npz"] {
        try folder.makeFolder((name as NSString).deletingLastPathComponent)
        try file.write(to: folder.at(name))
      }
      try folder.write("text", "train/cat/readme.txt")
      func open(_ policy: BadFilePolicy = .refuse, length: Int = 3, _ onProblem: (String) -> Void = { _ in }) throws
        -> CachedLatents
      {
        try CachedLatents(
          path: folder.path, length: length, codeWidth: 2, vocabulary: 7, badFiles: policy, onProblem: onProblem)
      }
      let latents = try open()
      #expect(latents.classNames == ["cat", "dog"])
      #expect(latents.training.map(\.name) == ["cat/1.npz", "cat/2.NPZ", "dog/1.npz"])
      #expect(latents.training.map(\.label) == [0, 0, 1])
      #expect(latents.validation.map(\.name) == ["dog/9.npz"])
      let plain = try latents.latent(latents.training[2], flip: false)
      let mirrored = try latents.latent(latents.training[2], flip: true)
      #expect(plain.tokens == image.tokens && plain.inputs == image.inputs)
      #expect(mirrored.tokens == flipped.tokens && mirrored.inputs == flipped.inputs)

      #expect(
        folder.sentence { _ = try open(length: 5) }
          == "./train/cat/1.npz: holds moments_gt of shape [3], and the model needs [5]")
      try folder.write("broken", "train/cat/1.npz")
      let broken = "./train/cat/1.npz: is not a checkpoint: it begins with the text \"broken\""
      #expect(folder.sentence { _ = try open() } == broken)
      #expect(folder.sentence { _ = try latents.latent(latents.training[0], flip: true) } == broken)
      var problems: [String] = []
      let rest = try open(.skip) { problems.append($0.replacingOccurrences(of: folder.path, with: ".")) }
      #expect(problems == [broken])
      #expect(rest.training.map(\.name) == ["cat/2.NPZ", "dog/1.npz"])
      try folder.write("broken", "train/dog/1.npz")
      #expect(folder.sentence { _ = try open(.skip) } == ".: has no cached image of the class dog that can be used")
    }
  }

  @Test("without val/ the held-out images are chosen as for images")
  func heldOut() throws {
    try withFolder { folder in
      try folder.makeFolder("a")
      for number in 0..<20 { try LatentFile(image: image, flipped: flipped).write(to: folder.at("a/\(number).npz")) }
      let latents = try CachedLatents(path: folder.path, length: 3, codeWidth: 2, vocabulary: 7)
      #expect(latents.validation.count == 2)
      #expect(Set((latents.training + latents.validation).map(\.name)).count == 20)
      #expect(
        folder.sentence { _ = try CachedLatents(path: folder.at("a"), length: 3, codeWidth: 2, vocabulary: 7) }
          == "./a: holds no class folders, only cached images: put those of each class into a folder of its own")
    }
  }
}
