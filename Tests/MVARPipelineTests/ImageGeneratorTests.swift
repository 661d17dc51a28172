// What requests give, with the shipped model: the same tokens whatever the batch and whatever else runs, the pixels of the
// program `mvar`, images as tokens and back, and a sentence for every request that makes no sense.

import Foundation
import MVARMedia
import MVARPipeline
import MVARTestSupport
import Testing

@Suite("image generator")
struct ImageGeneratorTests {
  private func images(_ request: GeneratedImages) async throws -> [GeneratedImage] {
    var images: [GeneratedImage] = []
    for try await image in request { images.append(image) }
    return images
  }

  @Test func shippedModelIsFound() throws {
    for path in [ShippedModel.transformer, ShippedModel.tokenizer] {
      #expect(FileManager.default.fileExists(atPath: try #require(path)))
    }
    let generator = try ImageGenerator.shipped()
    #expect(generator.classes.count == 12 && generator.classes[11] == "flag" && generator.classes[12] == nil)
    #expect(generator.imageSide == 64 && generator.scaleList.count == 10)
    #expect(generator.settings == ShippedModel.sampling)
  }

  // MARK: Sampling

  @Test func tokensDependOnSeedAndNumberAlone() async throws {
    let generator = try ImageGenerator.shipped()
    let labels = [11, 3, 0, 11]
    let one = try await images(generator.images(labels: labels, seed: 9, batch: 1))
    #expect(one.map(\.number) == [0, 1, 2, 3] && one.map(\.label) == labels)
    #expect(one[0].tokens.map(\.count) == generator.scaleList.sides.map { $0 * $0 })
    #expect(one[0].tokens != one[3].tokens)
    for batch in [2, 3, 4] {
      #expect(
        try await images(generator.images(labels: labels, seed: 9, batch: batch)).map(\.tokens) == one.map(\.tokens))
    }
    // The third image alone, by its number.
    let third = try await images(generator.images(labels: [0], seed: 9, first: 2))
    #expect(third.map(\.tokens) == [one[2].tokens] && third[0].number == 2)
    #expect(try await images(generator.images(labels: [11], seed: 10))[0].tokens != one[0].tokens)
  }

  @Test func tokensAreTheSameWhateverRunsConcurrently() async throws {
    let generator = try ImageGenerator.shipped()
    let other = try ImageGenerator.shipped()
    var alone: [[[Int]]] = []
    for seed in 0..<4 { alone += try await images(generator.images(labels: [seed], seed: UInt64(seed))).map(\.tokens) }
    let together = try await withThrowingTaskGroup(of: (Int, [[Int]]).self) { group in
      for seed in 0..<4 {
        // Two generators, so that requests take turns and overlap.
        let generator = seed % 2 == 0 ? generator : other
        group.addTask {
          var tokens: [[Int]] = []
          for try await image in try generator.images(labels: [seed], seed: UInt64(seed)) { tokens = image.tokens }
          return (seed, tokens)
        }
      }
      var found = [[[Int]]](repeating: [], count: 4)
      for try await (seed, tokens) in group { found[seed] = tokens }
      return found
    }
    #expect(together == alone)
  }

  @Test func everyLoopBeginsAnew() async throws {
    let request = try ImageGenerator.shipped().images(of: ["clock"], seed: 2)
    let (first, second) = (try await images(request), try await images(request))
    #expect(first == second && first.count == 1)
  }

  @Test func countsAndNamesClasses() async throws {
    let generator = try ImageGenerator.shipped()
    #expect(try generator.images().count == 12)
    let request = try generator.images(of: ["Flag", "3"], count: 2, seed: 1)
    #expect(request.count == 4)
    let found = try await images(request)
    #expect(found.map(\.className) == ["flag", "flag", "animal", "animal"] && found.allSatisfy { $0.seed == 1 })
  }

  @Test func pixelsAreThoseOfTheProgram() async throws {
    let generated = try await images(ImageGenerator.shipped().images(of: ["flag"], count: 2, seed: 5))
    try withTemporaryFolder { folder in
      let result = try BuiltProgram.run(
        BuiltProgram.path("mvar"),
        ["sample", "--class", "flag", "--count", "2", "--seed", "5", "--singles", "singles"],
        in: folder, environment: ["PATH": "/usr/bin:/bin", "OPENBLAS_NUM_THREADS": "1"])
      #expect(result.code == 0, "\(result.errors)")
      for image in generated {
        let file = try PixelImage.load("\(folder)/singles/00000\(image.number)-class\(image.label).png")
        #expect(file == image.pixels)
      }
    }
    #expect(generated.count == 2 && generated[0].pixels != generated[1].pixels)
  }

  // MARK: Encoding and decoding

  @Test func encodesAndDecodes() async throws {
    let generator = try ImageGenerator.shipped()
    let photo = try PixelImage.load(Fixtures.path("photos/chelsea.png"))
    let tokens = try await generator.encode(photo)
    #expect(tokens.map(\.count) == generator.scaleList.sides.map { $0 * $0 })
    let decoded = try await generator.decode(tokens)
    #expect(decoded.width == generator.imageSide && decoded.height == generator.imageSide)
    // The program crops, encodes and decodes in the same way.
    try withTemporaryFolder { folder in
      let result = try BuiltProgram.run(
        BuiltProgram.path("mvar"), ["reconstruct", Fixtures.path("photos/chelsea.png"), "-o", "out.png"], in: folder,
        environment: ["PATH": "/usr/bin:/bin", "OPENBLAS_NUM_THREADS": "1"])
      #expect(result.code == 0, "\(result.errors)")
      #expect(try PixelImage.load("\(folder)/out.png") == decoded)
    }
  }

  @Test func decodesWhatWasSampled() async throws {
    let generator = try ImageGenerator.shipped()
    let image = try await images(generator.images(of: ["face"], seed: 4))[0]
    #expect(try await generator.decode(image.tokens) == image.pixels)
  }

  // MARK: Requests that make no sense

  private func sentence(_ work: () throws -> Void) -> String? {
    do { try work() } catch { return "\(error)" }
    return nil
  }

  @Test func refusesWrongRequests() throws {
    let generator = try ImageGenerator.shipped()
    func refused(_ sentence: String, _ request: () throws -> GeneratedImages) {
      #expect(self.sentence { _ = try request() } == sentence)
    }
    refused("class 12: this model has the classes 0 … 11") { try generator.images(labels: [0, 12]) }
    refused("class -1: this model has the classes 0 … 11") { try generator.images(labels: [-1]) }
    refused("class 12: this model has the classes 0 … 11") { try generator.images(of: ["12"]) }
    refused(
      "class dog: the model has no class of this name; it has face, hand, person, animal, plant, fruit, food, vehicle, "
        + "building, clothing, clock, flag"
    ) { try generator.images(of: ["dog"]) }
    refused("0 images of a class make no sense; use 1 to 1000000") { try generator.images(count: 0) }
    refused("-3 images of a class make no sense; use 1 to 1000000") { try generator.images(count: -3) }
    refused("a batch of 0 makes no sense; use 1 to 1024") { try generator.images(batch: 0) }
    refused("the first image is number -1; use 0 to 2⁵³") { try generator.images(first: -1) }
    refused("top-p is 2.0; use 0 for no limit or a probability up to 1") {
      try generator.images(settings: SamplingValues(guidance: 1, topK: 0, topP: 2))
    }
  }

  @Test func refusesWrongTokens() async throws {
    let generator = try ImageGenerator.shipped()
    let counts = generator.scaleList.sides.map { $0 * $0 }
    func sentence(_ tokens: [[Int]]) async -> String? {
      do { _ = try await generator.decode(tokens) } catch { return "\(error)" }
      return nil
    }
    #expect(await sentence([[0]]) == "the scales have [1] tokens, and this tokenizer needs \(counts)")
    for wrong in [-1, 512] {
      var tokens = counts.map { [Int](repeating: 0, count: $0) }
      tokens[9][255] = wrong
      #expect(
        await sentence(tokens) == "token \(wrong) does not exist; this tokenizer has the tokens 0 … 511")
    }
  }
}
