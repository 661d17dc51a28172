// `mvar reconstruct`: image → tokens → image, to see what the tokenizer preserves.

import ArgumentParser
import Foundation
import MVAR
import MVARMedia
import TensorCore

struct Reconstruct: EngineCommand {
  static let precisions = CPUPrecisions.tokenizer

  static let configuration = CommandConfiguration(
    abstract: "Encode an image into tokens and decode it again.",
    discussion: """
      The middle square of the image is first resized to the tokenizer's size. Prints the peak signal-to-noise ratio.

        mvar reconstruct cat.jpg --tokenizer vae_ch160v4096z32.pth --side-by-side -o out.png
      """)

  @Argument(help: "The image, PNG or JPEG.")
  var image: String

  @Option(name: [.short, .long], parsing: .unconditional, help: "The image to write (.png).")
  var output: String

  @Flag(help: "Show the original to the left of its reconstruction.")
  var sideBySide = false

  @OptionGroup var photographs: PhotographOptions
  @OptionGroup var images: ImageOptions
  @OptionGroup var tokenizer: TokenizerOptions

  var engine: EngineOptions { tokenizer.engine }

  func checkOutputs() throws {
    try OutputFile.check(output, endings: [".png"], keeping: [image, tokenizer.tokenizer])
  }

  func run<B: Backend, D: EngineDevice>(on engine: B.Type, device: D) throws where B.Device == D {
    let image = try photographs.load(image)
    let model: VQVAE<B> = try tokenizer.load(.all, on: device)
    let original = try image.centerCrop(model.configuration.imageSide)
    var (encoding, decoding) = (Stopwatch(), Stopwatch())
    let progress = Progress()
    let quantized = try encoding.measure { try tokenizer.encode(original, with: model) }
    progress.report("decoding")
    let result = try decoding.measure {
      try images.image(model.decode(quantized.sums.last!).value, by: tokenizer.tokenizer)
    }
    progress.finish()
    let shown = sideBySide ? try ImageGrid().rows([[original, result]]) : result
    try shown.writePNG(to: output)
    try Console.print("PSNR \(Self.signalToNoise(original, result))")
    Console.note("encoder \(encoding.text), decoder \(decoding.text), \(device.peakText)")
  }

  /// 10·log₁₀(255² / mean squared error), in decibels.
  private static func signalToNoise(_ one: PixelImage, _ other: PixelImage) -> String {
    let sum = zip(one.pixels, other.pixels).reduce(0.0) { $0 + pow(Double($1.0) - Double($1.1), 2) }
    guard sum > 0 else { return "∞ dB" }
    return String(format: "%.2f dB", 10 * log10(255 * 255 * Double(one.pixels.count) / sum))
  }
}
