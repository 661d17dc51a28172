// The cache of tokens as a whole: it contains the tokenizer's output for an image and for its mirror image, bad files
// are named, and a training on the cache sees the same values as one on the images.

import Foundation
import MVAR
import MVARCheckpoints
import MVARMedia
import MVARTestSupport
import MVARTraining
import TensorCore
import Testing

@Suite("Cache of tokens")
struct LatentCacheTests {
  private static let scaleList = try! ScaleList([1, 2, 4])
  /// Images of 8 × 8 pixels, 21 tokens each.
  private static let tokenizerSizes = TokenizerConfiguration(
    vocabulary: 16, codeWidth: 4, channels: 32, multipliers: [1, 1], blocks: 1, scaleList: scaleList)
  private static let transformerSizes = TransformerConfiguration(
    depth: 1, scaleList: scaleList, vocabulary: 16, codeWidth: 4, classes: 2, width: 32, heads: 2, window: 3,
    refineStep: 2)

  private func makeTokenizer<B: Backend>(_ engine: B.Type) throws -> VQVAE<B> where B.Device == HostDevice {
    try VQVAE<B>(
      Self.tokenizerSizes, InitialSource<B>(seed: 5, on: HostDevice()), on: HostDevice())
  }

  /// Two classes of six images in a folder `images`; with one in ten held out, one of each class is.
  private func withImages(_ body: (SampleFolder) throws -> Void) throws {
    try withTemporaryFolder { path in
      let folder = SampleFolder(path: path)
      for (label, name) in ["cat", "dog"].enumerated() {
        for number in 0..<6 {
          try folder.write(try pattern(8, 8, seed: 10 * label + number), "pictures/\(name)/\(number).png")
        }
      }
      try body(folder)
    }
  }

  @Test("a cache of sheets has the classes in the order of the index, and says it in a file")
  func classOrder() throws {
    try withTemporaryFolder { path in
      let folder = SampleFolder(path: path)
      for (place, name) in ["z", "a"].enumerated() {
        try folder.write(try pattern(16, 8, seed: place), "sheets/\(name).png")
      }
      let sheets = #"{"name": "z", "file": "z.png", "count": 2}, {"name": "a", "file": "a.png", "count": 2}"#
      try folder.write(
        #"{"tile": 8, "columns": 2, "background": "white", "classes": [\#(sheets)]}"#, "sheets/index.json")
      let images = try LabeledImages(path: folder.at("sheets"), side: 8, heldOut: 2)
      let cache = LatentCache(try makeTokenizer(CPU<Float>.self), on: HostDevice())
      try cache.write(images, to: folder.at("cache"))
      #expect(try String(contentsOfFile: folder.at("cache/classes.txt"), encoding: .utf8) == "z\na\n")
      let latents = try open(folder)
      #expect(latents.classNames == images.classNames)
      #expect(latents.training.map(\.label) == images.training.map(\.label))
      #expect(latents.validation.map(\.label) == images.validation.map(\.label))

      for (text, reason) in [
        ("z\nb\n", "line 2 names the class \"b\", which has no folder"),
        ("z\na\nz\n", "line 3 names the class \"z\", which it has named before"),
        ("a\n", "does not name the class \"z\", which has a folder"),
        ("a\n\nz\n", "line 2 names the class \"\", which has no folder"),
      ] {
        try folder.write(text, "cache/classes.txt")
        #expect(folder.sentence { _ = try open(folder) } == "./cache/classes.txt: \(reason)")
      }
      // Caching again mends it.
      try cache.write(images, to: folder.at("cache"))
      var notes: [String] = []
      let mended = try CachedLatents(
        path: folder.at("cache"), length: 21, codeWidth: 4, vocabulary: 16, onNote: { notes.append($0) })
      #expect(mended.classNames == ["z", "a"])
      #expect(!notes.contains { $0.contains("not used") }, "\(notes)")
      let part = try CachedLatents(path: folder.at("cache/train"), length: 21, codeWidth: 4, vocabulary: 16, heldOut: 0)
      #expect(part.classNames == ["z", "a"])

      // Not ours to replace.
      for text in ["my notes\n", "z\na\nand more\n"] {
        try folder.write(text, "cache/classes.txt")
        let last = text.split(separator: "\n").last ?? ""
        #expect(
          folder.sentence { try cache.write(images, to: folder.at("cache")) }
            == "./cache/classes.txt: would be replaced by the names of the classes, and \"\(last)\" is none of this cache: "
            + "move the file, or cache into another folder")
        #expect(try String(contentsOfFile: folder.at("cache/classes.txt"), encoding: .utf8) == text)
      }
    }
  }

  @Test("a class whose folder would be hidden is refused before anything is written")
  func hiddenClass() throws {
    try withTemporaryFolder { path in
      let folder = SampleFolder(path: path)
      try folder.write(try pattern(16, 8), "sheets/a.png")
      try folder.write(
        #"{"tile": 8, "columns": 2, "background": "white", "classes": [{"name": ".a", "file": "a.png", "count": 2}]}"#,
        "sheets/index.json")
      let images = try LabeledImages(path: folder.at("sheets"), side: 8, heldOut: 0)
      let cache = LatentCache(try makeTokenizer(CPU<Float>.self), on: HostDevice())
      #expect(
        folder.sentence { try cache.write(images, to: folder.at("cache")) }
          == "./cache: the class \".a\" would have a hidden folder, which no training reads")
      #expect(!FileManager.default.fileExists(atPath: folder.at("cache")))
    }
  }

  private func open(_ folder: SampleFolder) throws -> CachedLatents {
    try CachedLatents(
      path: folder.at("cache"), length: 21, codeWidth: 4, vocabulary: 16, heldOut: 0)
  }

  @Test("each file holds what the tokenizer says of the image and of its mirror image")
  func contents() throws {
    try withImages { folder in
      let tokenizer = try makeTokenizer(CPU<Float>.self)
      let images = try LabeledImages(path: folder.at("pictures"), side: 8)
      var progress: [[Int]] = []
      try LatentCache(tokenizer, on: HostDevice())
        .write(images, to: folder.at("cache"), batch: 3) { progress.append([$0, $1]) }
      #expect(progress.last == [12, 12])
      #expect(progress.allSatisfy { $0[1] == 12 } && progress.map { $0[0] } == progress.map { $0[0] }.sorted())

      let latents = try open(folder)
      #expect(latents.classNames == ["cat", "dog"])
      #expect(!FileManager.default.fileExists(atPath: folder.at("cache/classes.txt")))
      #expect(latents.training.count == 10 && latents.validation.count == 2)
      var (different, mirrorsDiffer): (Set<[Int32]>, Int) = ([], 0)
      for (examples, cached) in [(images.training, latents.training), (images.validation, latents.validation)] {
        #expect(cached.map(\.label) == examples.map(\.label))
        #expect(cached.map(\.name) == examples.map { $0.name.replacingOccurrences(of: ".png", with: ".npz") })
        for (example, entry) in zip(examples, cached) {
          let expected = try moments(of: example.image, tokenizer)
          let plain = try latents.latent(entry, flip: false)
          #expect(plain.tokens == expected.tokens && plain.inputs == expected.inputs, "\(entry.name)")
          var mirrored = example.image
          for row in 0..<8 {
            for column in 0..<8 {
              mirrored[row: row, column: column] = example.image[row: row, column: 7 - column]
            }
          }
          let expectedMirrored = try moments(of: mirrored, tokenizer)
          let flipped = try latents.latent(entry, flip: true)
          #expect(flipped.tokens == expectedMirrored.tokens && flipped.inputs == expectedMirrored.inputs)
          if flipped.tokens != plain.tokens && flipped.inputs != plain.inputs { mirrorsDiffer += 1 }
          #expect(plain.tokens.count == 21 && plain.inputs.count == 80)
          different.insert(plain.tokens)
        }
      }
      #expect(different.count > 1 && mirrorsDiffer > 0)
    }
  }

  /// An image's tokens and inputs, encoded individually.
  private func moments(of image: PixelImage, _ tokenizer: VQVAE<CPU<Float>>) throws -> LatentFile.Moments {
    let input = try Tensor<CPU<Float>>(image.planarFloats(), shape: [1, 3, 8, 8], on: HostDevice())
    let quantized = try tokenizer.encode(Variable(input))
    return LatentFile.Moments(
      tokens: try quantized.tokens.flatMap { try $0.values().map { Int32($0) } },
      inputs: try tokenizer.quantizer.inputs(sums: quantized.sums).value.scalars())
  }

  @Test("a file that names its tokenizer without its image, or the other way round, is refused by both names")
  func halfAnOrigin() throws {
    try withImages { folder in
      let images = try LabeledImages(path: folder.at("pictures"), side: 8, heldOut: 0)
      try LatentCache(try makeTokenizer(CPU<Float>.self), on: HostDevice()).write(images, to: folder.at("cache"))
      let path = folder.at("cache/train/cat/1.npz")
      let whole = try Checkpoint.open(path).tensors
      for half in ["tokenizer_sha256", "pixels_sha256"] {
        try NPZWriter.write(whole.filter { $0.name != half }, to: path)
        #expect(
          folder.sentence { _ = try LatentFile(path: path, length: 21, codeWidth: 4, vocabulary: 16) }
            == "./cache/train/cat/1.npz: holds one of tokenizer_sha256 and pixels_sha256 without the other")
      }
    }
  }

  @Test("files of these pixels and this tokenizer are kept, others are written again, bad ones are named")
  func goingOn() throws {
    try withImages { folder in
      let cache = LatentCache(try makeTokenizer(CPU<Float>.self), on: HostDevice())
      let images = try LabeledImages(path: folder.at("pictures"), side: 8, heldOut: 0)
      try cache.write(images, to: folder.at("cache"))
      let broken = folder.at("cache/train/cat/1.npz")
      let good = try Data(contentsOf: URL(filePath: broken))
      let zeros = LatentFile.Moments(
        tokens: [Int32](repeating: 0, count: 21), inputs: [Float](repeating: 0, count: 80))
      // One that says it is right, and one that does not say what made it.
      let right = try LatentFile(path: folder.at("cache/train/dog/2.npz"), length: 21, codeWidth: 4, vocabulary: 16)
      try LatentFile(image: zeros, flipped: zeros, origin: right.origin).write(to: folder.at("cache/train/dog/2.npz"))
      let silent = folder.at("cache/train/dog/3.npz")
      let silentBefore = try Data(contentsOf: URL(filePath: silent))
      try LatentFile(image: zeros, flipped: zeros).write(to: silent)

      try good.prefix(good.count / 2).write(to: URL(filePath: broken))
      #expect(
        folder.sentence { _ = try open(folder) }
          == "./cache/train/cat/1.npz: is a zip archive without its directory; the file is truncated or "
          + "damaged")
      let short = LatentFile.Moments(tokens: [1, 2, 3, 4, 5], inputs: [Float](repeating: 0, count: 16))
      try LatentFile(image: short, flipped: short).write(to: broken)
      #expect(
        folder.sentence { _ = try open(folder) }
          == "./cache/train/cat/1.npz: holds moments_gt of shape [5], and the model needs [21]")
      // Opening does not read values; reading the samples does.
      var tokens = zeros.tokens
      tokens[20] = 16
      let outside = LatentFile.Moments(tokens: tokens, inputs: zeros.inputs)
      try LatentFile(image: zeros, flipped: outside).write(to: broken)
      let latents = try open(folder)
      #expect(latents.training[1].name == "cat/1.npz")
      #expect(folder.sentence { _ = try latents.latent(latents.training[1], flip: false) } == "no error")
      #expect(
        folder.sentence { _ = try latents.latent(latents.training[1], flip: true) }
          == "./cache/train/cat/1.npz: holds the token 16 in moments_gt_flip at 20, and tokens are 0 … 15")

      let counts = try cache.write(images, to: folder.at("cache"))
      #expect(counts.kept == 10 && counts.replaced == 2 && counts.added == 0 && counts.strangers.isEmpty)
      #expect(try Data(contentsOf: URL(filePath: broken)) == good)
      #expect(try Data(contentsOf: URL(filePath: silent)) == silentBefore)
      let kept = try latents.latent(latents.training[8], flip: false)
      #expect(latents.training[8].name == "dog/2.npz" && kept.tokens == zeros.tokens && kept.inputs == zeros.inputs)
    }
  }

  @Test("another tokenizer, a replaced image, another side: everything that changed is encoded again")
  func origins() throws {
    try withImages { folder in
      let first = try makeTokenizer(CPU<Float>.self)
      let second = try VQVAE<CPU<Float>>(
        Self.tokenizerSizes, InitialSource(seed: 6, on: HostDevice()), on: HostDevice())
      let place = folder.at("cache")
      func write(_ tokenizer: VQVAE<CPU<Float>>) throws -> LatentCacheCounts {
        let images = try LabeledImages(path: folder.at("pictures"), side: 8, heldOut: 0)
        return try LatentCache(tokenizer, on: HostDevice()).write(images, to: place)
      }
      func digest(_ tokenizer: VQVAE<CPU<Float>>) throws -> [UInt8] { try LatentOrigin.digest(of: tokenizer) }
      #expect(try write(first).added == 12)
      #expect(try write(first).kept == 12)
      // Sizes are the same, weights are not.
      #expect(try digest(first) != digest(second))
      let opened = folder.sentence {
        _ = try CachedLatents(path: place, length: 21, codeWidth: 4, vocabulary: 16, tokenizer: digest(second))
      }
      #expect(opened == "./cache/train/cat/0.npz: holds the tokens of another tokenizer; mvar cache makes them again")
      #expect(try write(second).replaced == 12)
      let fresh = folder.at("fresh")
      let images = try LabeledImages(path: folder.at("pictures"), side: 8, heldOut: 0)
      try LatentCache(second, on: HostDevice()).write(images, to: fresh)
      for example in images.training {
        let name = example.name.replacingOccurrences(of: ".png", with: ".npz")
        let files = try [place, fresh].map { try Data(contentsOf: URL(filePath: "\($0)/train/\(name)")) }
        #expect(files[0] == files[1], "\(name)")
      }
      // A picture under its old name, and one that is gone.
      try folder.write(try pattern(8, 8, seed: 77), "pictures/cat/2.png")
      unlink(folder.at("pictures/dog/5.png"))
      let counts = try write(second)
      #expect(counts.kept == 10 && counts.replaced == 1 && counts.added == 0)
      #expect(counts.strangers == ["\(place)/train/dog/5.npz"])
      // One weight of the encoder decides; the decoder's do not.
      for (key, changes) in [
        ("encoder.conv_in.bias", true), ("quantize.embedding.weight", true), ("decoder.conv_in.bias", false),
      ] {
        let parameter = try #require(
          second.parameters.first { CheckpointNames.key(of: $0.name, in: .tokenizer) == key })
        let before = try digest(second)
        var values = try parameter.value.scalars()
        values[0] += 1
        parameter.value = try Tensor(values, shape: parameter.value.shape, on: HostDevice())
        #expect(try (digest(second) != before) == changes, "\(key)")
      }
      // A half of it has the same digest, and so has another engine.
      let encoder = try VQVAE<Reference<Double>>(
        Self.tokenizerSizes, InitialSource(seed: 5, on: HostDevice()), parts: [.encoder], on: HostDevice())
      #expect(try LatentOrigin.digest(of: encoder) == digest(first))
    }
  }

  @Test("images in folders of a class keep their paths")
  func nested() throws {
    try withImages { folder in
      for name in ["more/0.png", "more/still/0.png", "more/0.v2.png"] {
        try folder.write(try pattern(8, 8, seed: name.utf8.count), "pictures/cat/\(name)")
      }
      let images = try LabeledImages(path: folder.at("pictures"), side: 8, heldOut: 0)
      let cache = LatentCache(try makeTokenizer(CPU<Float>.self), on: HostDevice())
      #expect(try cache.write(images, to: folder.at("cache")).added == 15)
      let latents = try open(folder)
      #expect(
        latents.training.map(\.name) == images.training.map { $0.name.replacingOccurrences(of: ".png", with: ".npz") })
      for (example, entry) in zip(images.training, latents.training) {
        let expected = try moments(of: example.image, makeTokenizer(CPU<Float>.self))
        #expect(try latents.latent(entry, flip: false).tokens == expected.tokens, "\(entry.name)")
      }
    }
  }

  @Test("the authors' files and folder names are read, and what is not known of them is said once")
  func authors() throws {
    try withImages { folder in
      let tokenizer = try makeTokenizer(CPU<Float>.self)
      let images = try LabeledImages(path: folder.at("pictures"), side: 8)
      try LatentCache(tokenizer, on: HostDevice()).write(images, to: folder.at("cache"))
      for part in ["train", "val"] {
        try FileManager.default.moveItem(
          atPath: folder.at("cache/\(part)"), toPath: folder.at("cache/\(part)_cache_mvar"))
        try folder.write(grayPNG, "cache/\(part)/cat/1.png")
      }
      let path = folder.at("cache/train_cache_mvar/cat/1.npz")
      let file = try LatentFile(path: path, length: 21, codeWidth: 4, vocabulary: 16)
      #expect(file.origin != nil)
      try LatentFile(image: file.image, flipped: file.flipped).write(to: path)
      var notes: [String] = []
      let latents = try CachedLatents(
        path: folder.at("cache"), length: 21, codeWidth: 4, vocabulary: 16,
        tokenizer: try LatentOrigin.digest(of: tokenizer), onNote: { notes.append($0) })
      #expect(latents.training.count == 10 && latents.validation.count == 2)
      #expect(notes == ["1 of 12 cached images do not say which tokenizer made them, so that is not checked"])
      // Cached images under both names.
      try FileManager.default.copyItem(atPath: path, toPath: folder.at("cache/train/cat/1.npz"))
      #expect(
        folder.sentence { _ = try open(folder) }
          == "./cache: holds cached images in train_cache_mvar/ and in train/: move one of the two elsewhere")
    }
  }

  @Test("what cannot be cached leaves no file")
  func refused() throws {
    try withImages { folder in
      let tokenizer = try makeTokenizer(CPU<Float>.self)
      let cache = LatentCache(tokenizer, on: HostDevice())
      func files() throws -> [String] {
        guard FileManager.default.fileExists(atPath: folder.at("cache")) else { return [] }
        return try FileManager.default.subpathsOfDirectory(atPath: folder.at("cache")).filter { $0.contains(".") }
      }
      // Two images of a class with the same name and different extensions.
      try folder.write(try pattern(8, 8, seed: 99), "pictures/cat/3.jpg")
      let twice = try LabeledImages(path: folder.at("pictures"), side: 8, heldOut: 0)
      #expect(
        folder.sentence { try cache.write(twice, to: folder.at("cache")) }
          == "./cache/train/cat/3.npz: would be written twice: two images of the class differ in their ending only")
      #expect(try files().isEmpty)
      try FileManager.default.removeItem(atPath: folder.at("pictures/cat/3.jpg"))

      let images = try LabeledImages(path: folder.at("pictures"), side: 8)
      try folder.write("text", "file")
      #expect(
        folder.sentence { try cache.write(images, to: folder.at("file")) }
          == "./file/train/cat: cannot be created: Not a directory")

      // NaN in the encoder still gives codes, and NaN in the codebook still gives inputs.
      for key in ["encoder.conv_in.bias", "quantize.embedding.weight"] {
        let parameter = try #require(
          tokenizer.parameters.first(where: { CheckpointNames.key(of: $0.name, in: .tokenizer) == key }))
        let before = parameter.value
        parameter.value = Tensor(repeating: .nan, shape: before.shape, on: HostDevice())
        #expect(throws: NotANumberError.self) { try cache.write(images, to: folder.at("cache")) }
        parameter.value = before
        #expect(try files().isEmpty, "\(key)")
      }
    }
  }

  @Test("a step on cached tokens is the step on the images, flips included")
  func sameBatches() throws {
    try compareSources(Reference<Float>.self)
    try compareSources(CPU<Float>.self)
  }

  private func compareSources<B: Backend>(_ engine: B.Type) throws where B.Device == HostDevice {
    try withImages { folder in
      let tokenizer = try makeTokenizer(engine)
      let images = try LabeledImages(path: folder.at("pictures"), side: 8)
      try LatentCache(tokenizer, on: HostDevice()).write(images, to: folder.at("cache"), batch: 5)
      let latents = try open(folder)
      let (seed, batch) = (UInt64(7), 4)
      let order = SampleOrder(labels: images.training.map(\.label), batch: batch, seed: 3, balance: .none)
      let augmentation = Augmentation(flips: true, unflippable: [1])
      let loader = BatchLoader(
        images: images.training, side: 8, order: order, augmentation: augmentation, seed: seed)
      let encoded = EncodedImages(tokenizer, loader: loader, heldOut: images.validation, on: HostDevice())
      let cached = CachedTokens<B>(
        latents, order: order, flips: true, unflippable: [1], seed: seed, Self.transformerSizes, on: HostDevice())

      #expect(encoded.validationCount == 2 && cached.validationCount == 2)
      try expectSame(encoded.validation(0..<2), cached.validation(0..<2))
      var (flipped, visiblyFlipped) = ([0, 0], 0)
      // More than one epoch of ten images.
      for iteration in 0..<5 {
        let found = try cached.batch(iteration)
        try expectSame(encoded.batch(iteration), found)
        for (row, index) in order.indices(ofBatch: iteration).enumerated() {
          let example = latents.training[index]
          let stream = RandomStream(seed: seed, stream: UInt64(iteration * batch + row))
          let isFlipped = augmentation.plan(label: example.label, stream: stream).flip
          let plain = try latents.latent(example, flip: false).tokens
          let expected = try latents.latent(example, flip: isFlipped).tokens
          #expect(Array(found.tokens[row * 21..<(row + 1) * 21]) == expected)
          flipped[example.label] += isFlipped ? 1 : 0
          visiblyFlipped += expected != plain ? 1 : 0
        }
      }
      // Ten or so images of the first class were seen, half of them mirrored; those of the second never are.
      #expect(flipped[0] > 1 && flipped[0] < 10 && flipped[1] == 0, "\(flipped)")
      #expect(visiblyFlipped > 0)

      let first = try step(on: encoded.batch(2))
      let second = try step(on: cached.batch(2))
      #expect(first.losses == second.losses && first.losses.allSatisfy { $0 > 0 && $0.isFinite })
      #expect(first.weights == second.weights)
    }
  }

  private func expectSame<B: Backend>(
    _ a: TokenBatch<B>, _ b: TokenBatch<B>, at location: SourceLocation = #_sourceLocation
  ) throws {
    #expect(a.labels == b.labels, sourceLocation: location)
    #expect(a.tokens == b.tokens, sourceLocation: location)
    #expect(a.inputs.shape == b.inputs.shape, sourceLocation: location)
    #expect(try a.inputs.scalars() == b.inputs.scalars(), sourceLocation: location)
  }

  /// One step of a new transformer: the losses of its segments and the weights afterward.
  private func step<B: Backend>(on batch: TokenBatch<B>) throws -> (losses: [Double], weights: [[B.Scalar]])
  where B.Device == HostDevice {
    let model = try MarkovianTransformer<B>(
      Self.transformerSizes, InitialSource<B>(seed: 1, on: HostDevice()), on: HostDevice())
    let streams = batch.labels.indices.map { RandomStream(seed: 1, stream: UInt64($0)) }
    let found = try TransformerTrainer(model)
      .step(batch, segments: [0..<2, 2..<3], streams: streams, rate: 0.01, decay: 0)
    return (found.losses.map(\.perToken), try model.parameters.map { try $0.value.scalars() })
  }
}
