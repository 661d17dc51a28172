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
      The middle square of the image is first resized to the tokenizer's size. Prints the peak signal-to-noise ratio, with \
      --scales that of the image after each scale.

        mvar reconstruct cat.jpg --tokenizer vae_ch160v4096z32.pth --side-by-side -o out.png
        mvar reconstruct cat.jpg --scales --side-by-side -o growing.png
      """)

  @Argument(help: "The image, PNG or JPEG.")
  var image: String

  @Option(name: [.short, .long], parsing: .unconditional, help: "The image to write (.png).")
  var output: String

  @Flag(help: "Show the original to the left of its reconstruction.")
  var sideBySide = false

  @Flag(help: "Show the image after every scale, from the coarsest on.")
  var scales = false

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
    if scales { try checkWidth(model.configuration) }
    var (encoding, decoding) = (Stopwatch(), Stopwatch())
    let progress = Progress()
    let quantized = try encoding.measure { try tokenizer.encode(original, with: model) }
    let sums = scales ? quantized.sums : [quantized.sums.last!]
    let results = try decoding.measure {
      try sums.enumerated().map { scale, sum in
        progress.report(scales ? "decoding scale \(scale)" : "decoding")
        return try images.image(model.decode(sum).value, by: tokenizer.tokenizer)
      }
    }
    progress.finish()
    let row = (sideBySide ? [original] : []) + results
    let shown = row.count > 1 ? try ImageGrid().rows([row]) : row[0]
    try shown.writePNG(to: output)
    if scales {
      try Table.print(
        [["scale", "side", "tokens so far", "PSNR"]]
          + results.indices.map { scale in
            let scaleList = model.configuration.scaleList
            return [
              "\(scale)", "\(scaleList.sides[scale])", "\(scaleList.tokens(of: scale).upperBound)",
              Self.signalToNoise(original, results[scale]),
            ]
          })
    } else {
      try Console.print("PSNR \(Self.signalToNoise(original, results[0]))")
    }
    Console.note("encoder \(encoding.text), decoder \(decoding.text), \(device.peakText)")
  }

  /// Refuses a row of images that is too wide to be written, before anything is computed.
  private func checkWidth(_ configuration: TokenizerConfiguration) throws {
    let (count, gap) = (configuration.scaleList.count + (sideBySide ? 1 : 0), ImageGrid().gap)
    try ImageLimits.check(
      width: count * (configuration.imageSide + gap) - gap, height: configuration.imageSide,
      of: "the image of all scales")
  }

  /// 10·log₁₀(255² / mean squared error), in decibels.
  private static func signalToNoise(_ one: PixelImage, _ other: PixelImage) -> String {
    let sum = zip(one.pixels, other.pixels).reduce(0.0) { $0 + pow(Double($1.0) - Double($1.1), 2) }
    guard sum > 0 else { return "∞ dB" }
    return String(format: "%.2f dB", 10 * log10(255 * 255 * Double(one.pixels.count) / sum))
  }
}
