// `mvar decode`: tokens → images.

import ArgumentParser
import MVAR
import MVARMedia
import TensorCore

struct Decode: EngineCommand {
  static let precisions = CPUPrecisions.tokenizer

  static let configuration = CommandConfiguration(
    abstract: "Decode tokens into images.",
    discussion: """
      Reads the files that `mvar encode` and `mvar sample --tokens` write, and the published latent caches.

        mvar decode cat.npz --tokenizer vae_ch160v4096z32.pth -o cat.png
      """)

  @Argument(help: "The file of tokens (.npz or .npy).")
  var tokens: String

  @Option(name: [.short, .long], parsing: .unconditional, help: "The image to write (.png), all images in one.")
  var output: String

  @OptionGroup var grid: GridOptions
  @OptionGroup var images: ImageOptions
  @OptionGroup var tokenizer: TokenizerOptions

  var engine: EngineOptions { tokenizer.engine }

  func checkOutputs() throws {
    try OutputFile.check(output, endings: [".png"], keeping: [tokens, tokenizer.tokenizer])
  }

  func run<B: Backend, D: EngineDevice>(on engine: B.Type, device: D) throws where B.Device == D {
    let model: VQVAE<B> = try tokenizer.load([.decoder], on: device)
    let configuration = model.configuration
    let encoded = try TokenFile.read(tokens, for: configuration)
    try grid.check(count: encoded.count, side: configuration.imageSide)
    let progress = Progress()
    let shown = try encoded.enumerated().map { index, tokens in
      progress.report("decoding image \(index + 1) of \(encoded.count)")
      let indices: [Indices<B>] = try TokenFile.perScale(tokens, configuration.scaleList, on: device)
      return try images.image(
        model.decode(model.quantizer.decode(indices).last!).value, by: tokenizer.tokenizer)
    }
    progress.finish()
    try ImageGrid().grid(shown, columns: grid.columns).writePNG(to: output)
    try Console.print(output)
  }
}
