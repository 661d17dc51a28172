// `mvar decode`: tokens → images.

import ArgumentParser
import MVAR
import MVARMedia
import TensorCore

struct Decode: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Decode tokens into images.",
    discussion: """
      Reads what `mvar encode` and `mvar sample --tokens` write, and the published latent caches.

        mvar decode cat.npz --tokenizer vae_ch160v4096z32.pth -o cat.png
      """)

  @Argument(help: "The file of tokens (.npz or .npy).")
  var tokens: String

  @Option(name: [.short, .long], parsing: .unconditional, help: "The image to write (.png), all images in one.")
  var output: String

  @OptionGroup var grid: GridOptions
  @OptionGroup var images: ImageOptions
  @OptionGroup var tokenizer: TokenizerOptions

  func run() throws {
    let engine = try tokenizer.engine.open()
    try OutputFile.check(output, endings: [".png"], keeping: [tokens, tokenizer.tokenizer])
    try engine.run(DecodeTask(command: self))
  }
}

/// The decoding, on any engine.
private struct DecodeTask: EngineTask {
  let command: Decode

  func run<B: Backend, D: EngineDevice>(_ engine: B.Type, on device: D) throws where B.Device == D {
    let model: VQVAE<B> = try command.tokenizer.load([.decoder], on: device)
    let configuration = model.configuration
    let tokens = try TokenFile.read(command.tokens, for: configuration)
    try command.grid.check(count: tokens.count, side: configuration.imageSide)
    let progress = Progress()
    let shown = try tokens.enumerated().map { index, tokens in
      progress.report("decoding image \(index + 1) of \(command.tokens.count)")
      let indices: [Indices<B>] = try TokenFile.perScale(tokens, configuration.scaleList, on: device)
      return try command.images.image(
        model.decode(model.quantizer.decode(indices).last!).value, by: command.tokenizer.tokenizer)
    }
    progress.finish()
    try ImageGrid().grid(shown, columns: command.grid.columns).writePNG(to: command.output)
    try Console.print(command.output)
  }
}
