// The model that ships with the package: it is found without being named, knows its classes by name, samples and
// reconstructs quickly, and is small, including its data. `mvar evaluate` measures whether its images are good.

import Foundation
import MVAR
import MVARMedia
import MVARTestSupport
import MVARTraining
import TensorCore
import Testing

@Suite struct ShippedModelTests {
  private let transformer = Fixtures.path("emoji/transformer.safetensors")
  private let tokenizer = Fixtures.path("emoji/tokenizer.safetensors")

  @Test func samplesAClassByNameWithoutNamingAModel() throws {
    try withTemporaryFolder { folder in
      let result = try Tool.run(["sample", "--class", "clock", "--count", "2", "-o", "out.png"], in: folder)
      #expect(result.code == 0, "\(result.errors)")
      let image = try PixelImage.load("\(folder)/out.png")
      #expect(image.width == 2 * 64 + 2 && image.height == 64)
      // The same by number, and with the files named.
      let named = try Tool.run(
        [
          "sample", "--model", transformer, "--tokenizer", tokenizer, "--class", "10", "--count", "2", "-o", "two.png",
          "--cfg", "3", "--top-k", "30", "--top-p", "0.85",
        ], in: folder)
      #expect(named.code == 0, "\(named.errors)")
      #expect(try PixelImage.load("\(folder)/two.png").pixels == image.pixels)
    }
  }

  @Test func namesItsClassesWhenAskedForAnother() throws {
    try withTemporaryFolder { folder in
      let result = try Tool.run(["sample", "--class", "dog", "-o", "out.png"], in: folder)
      #expect(result.code == 1)
      #expect(
        result.errors == "mvar: --class dog: the model has no class of this name; it has face, hand, person, animal, "
          + "plant, fruit, food, vehicle, building, clothing, clock, flag\n")
    }
  }

  @Test func reconstructsHeldOutImages() throws {
    let model: VQVAE<CPU<Float>> = try ModelSource.file(tokenizer).tokenizer(on: HostDevice())
    let images = try LabeledImages(path: Fixtures.path("emoji"), side: model.configuration.imageSide)
    #expect(images.training.count == 1524 && images.validation.count == 171)
    var quality = ReconstructionQuality()
    for start in stride(from: 0, to: 171, by: 19) {
      let originals = images.validation[start..<start + 19].flatMap { $0.image.planarFloats() }
      let input = try Tensor<CPU<Float>>(originals, shape: [19, 3, 64, 64], on: HostDevice())
      let sums = try model.encode(Variable(input)).sums
      quality.add(originals, try model.decode(sums[sums.count - 1]).value.scalars(), images: 19)
    }
    // 28.33 dB when it was trained; other processors round differently, which changes a few codes.
    #expect(quality.psnr > 28)
  }

  @Test func knowsWhatHeldOutImagesLookLike() throws {
    let codes: VQVAE<CPU<Float>> = try ModelSource.file(tokenizer).tokenizer(on: HostDevice())
    let model: MarkovianTransformer<CPU<Float>> = try ModelSource.file(transformer).transformer(on: HostDevice())
    #expect(model.configuration.classes == 12 && model.configuration.scaleList == .pixels256)
    #expect(model.configuration.window == 7 && model.configuration.refineStep == 8)
    let images = try LabeledImages(path: Fixtures.path("emoji"), side: 64)
    let trainer = TransformerTrainer(model)
    var sums = ValidationSums(scales: 10)
    let part = (0..<48).map { images.validation[$0 * 171 / 48] }
    let batch = try Tensor<CPU<Float>>(
      part.flatMap { $0.image.planarFloats() }, shape: [48, 3, 64, 64], on: HostDevice())
    try trainer.validate(try TokenBatch(codes, images: batch, labels: part.map(\.label)), into: &sums)
    // ln 512 = 6.24 is chance level.
    #expect(sums.loss(of: 0..<10) < 2.6)
  }

  @Test func isSmall() throws {
    let folder = Fixtures.url("emoji")
    let sizes = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: [.fileSizeKey])
      .map { try $0.resourceValues(forKeys: [.fileSizeKey]).fileSize ?? 0 }
    #expect(sizes.reduce(0, +) < 12_000_000)
  }
}
