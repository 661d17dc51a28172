// `mvar cache`: a folder of images → a folder of tokens, so that training need not encode.

import ArgumentParser
import Foundation
import MVAR
import MVARFiles
import MVARTraining
import TensorCore

struct Cache: EngineCommand {
  static let precisions = CPUPrecisions.tokenizer
  static let isForRanks = true

  static let configuration = CommandConfiguration(
    abstract: "Encode a folder of images into cached tokens for training.",
    discussion: """
      Writes train/<class>/<image>.npz (and likewise val/, with the held-out images) with the tokens and \
      inputs of each image and of its mirror image, in the published layout, and what made them; classes.txt names the \
      classes in the order of their labels. A run that was \
      interrupted resumes where it stopped; images that changed, or tokens of another tokenizer, are encoded again.

        mvar cache --data Fixtures/emoji --tokenizer Fixtures/emoji/tokenizer.safetensors -o latents
        mvar train --data latents --cached --tokenizer Fixtures/emoji/tokenizer.safetensors -o run
      """)

  @OptionGroup var tokenizer: TokenizerOptions

  @Option(parsing: .unconditional, help: "The folder with the images; see mvar train.")
  var data: String

  @OptionGroup var dataset: DatasetOptions

  @Option(parsing: .unconditional, help: "How many images are encoded at once.")
  var batch = 16

  @Option(name: [.short, .long], parsing: .unconditional, help: "The folder for the tokens.")
  var output: String

  func validate() throws {
    guard !data.isEmpty, !output.isEmpty else { throw ValidationError("--data and --output need the name of a folder") }
    try Arguments.check("--batch", batch, in: 1...1024)
  }

  var engine: EngineOptions { tokenizer.engine }

  func run<B: Backend, D: EngineDevice>(on engine: B.Type, device: D) throws where B.Device == D {
    if Ranks.isRoot {
      try RunFolder.checkWritable(output)
      try TrainingChecks.apart(output, from: data)
    }
    let model: VQVAE<B> = try tokenizer.load([.encoder], on: device)
    let progress = Progress()
    let images = try dataset.images(in: data, side: model.configuration.imageSide, progress)
    try Ranks.checkSame {
      [
        ("the images", DataOptions.fingerprint(images)),
        ("the tokenizer", SHA256.hexadecimal(try LatentOrigin.digest(of: model))),
      ]
    }
    let counts = try naming(tokenizer.tokenizer) {
      try LatentCache(model, on: device).write(
        images, to: output, batch: batch, collectives: Ranks.current
      ) { done, total in
        progress.report("encoding image \(done) of \(total)")
      }
    }
    progress.finish()
    guard Ranks.isRoot else { return }
    if counts.kept + counts.replaced > 0 {
      Console.note(
        "\(output): \(counted(counts.kept, "image was", "images were")) cached already, \(counts.replaced) again because their file was damaged "
          + "or of another image or tokenizer, \(counts.added) for the first time")
    }
    if counts.moved > 0 {
      Console.note(
        "\(output): \(counted(counts.moved, "of them was", "of them were")) in the other part, train or val, and moved "
          + "to where the data now say")
    }
    if let first = counts.misplaced.first {
      Console.note(
        "\(output): \(counted(counts.misplaced.count, "cached image has", "cached images have")) another file in the "
          + "part that the data now say, and a training would use both; the first is \(first)")
    }
    if let first = counts.strangers.first {
      Console.note(
        "\(output): \(counted(counts.strangers.count, "cached image belongs", "cached images belong")) to no image of "
          + "\(data), and a training would use what is cached; the first is \(first)")
    }
    try Console.print(output)
  }
}
