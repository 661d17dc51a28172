// Puts the page together: the run's numbers, packed so that the page stays below its limit, and the texts of the page
// itself, which are embedded in the program (Sources/Tools/ExplainPage).
//
// What is shown of every model: the pictures, maps and tokens of all scales. Attention has at most two fifths of the page,
// or some blocks and heads; logits have what is left, or the likeliest candidates of each token.

import Foundation
import MVAR
import MVARExplainPage
import MVARFiles
import MVARMedia
import TensorCore

/// A page about a run.
struct ExplainPage {
  /// What the heading says of the run.
  struct Subject {
    /// The models' name, for people.
    let model: String
    /// The name or number of the class; nil for none.
    let className: String?
    /// The seed of a sampled image.
    let seed: UInt64?
    /// The photograph and its file's name.
    let photo: (image: PixelImage, name: String)?
  }

  /// The share of the page that attention may take.
  static func attentionBytes(of limit: Int) -> Int { limit * 2 / 5 }

  /// The page as HTML.
  let html: String
  /// How many candidates of each token are stored; nil for all.
  let candidates: Int?

  /// The page about a run.
  ///
  /// - Parameters:
  ///   - limit: the most bytes of the page.
  ///   - files: the models' files, for an error.
  /// - Throws: `Failure` when the page cannot be that small.
  init<B: Backend>(
    _ run: ExplainedRun, _ subject: Subject, limit: Int, tokenizer: VQVAE<B>, by files: String, on device: B.Device
  ) throws {
    let configuration = run.configuration
    guard configuration.vocabulary <= 65536, configuration.scaleList.length <= 65536 else {
      throw Failure(
        "\(files): \(configuration.vocabulary) codes and \(configuration.scaleList.length) tokens are too many for a page"
      )
    }
    let colors = PageColors(run)
    let codes = try colors.codes(of: tokenizer, by: files)
    let most = limit / 10
    let strip = try Self.strip(run.images, most: most)
    let photo = try subject.photo.map { try Self.strip([$0.image], most: most) }
    let attention = try PageData.Field(run.attention)
    let sums = try PageData.Field(run.sums.flatMap { colors.bytes($0, isPlanar: true) })
    let inputs = try PageData.Field(colors.bytes(run.inputs))
    let looks = try PageData.Field(codes.bytes)
    let tokens = try PageData.Field(run.tokens.map { UInt16($0) })
    let draws = try subject.seed.map { try PageData.Field(Self.draws(run, seed: $0)) }

    func data(_ logits: PackedLogits) throws -> PageData {
      PageData(
        model: PageData.Model(
          name: subject.model, sides: configuration.scaleList.sides, vocabulary: configuration.vocabulary,
          codeWidth: configuration.codeWidth, blocks: configuration.depth, heads: configuration.heads,
          width: configuration.width, window: configuration.window, refine: Self.refine(configuration),
          parameters: TransformerCost(configuration).parameters, sharesModulation: configuration.sharesModulation),
        run: PageData.Run(
          isPhoto: subject.photo != nil, photo: subject.photo?.name, className: subject.className,
          seed: subject.seed.map { "\($0)" }, cfg: run.options.guidance, topK: run.options.topK,
          topP: run.options.topP, canBeGuided: run.canBeGuided),
        stored: PageData.Stored(
          candidates: logits.count, isPart: logits.isPart, grid: logits.grid, blocks: run.selection.blocks,
          heads: run.selection.heads, colorFit: (colors.explained * 1e4).rounded() / 1e4,
          codesAreDecoded: codes.areDecoded),
        fields: PageData.Fields(
          tokens: tokens, below: try PageData.Field(logits.below),
          difference: logits.difference.isEmpty ? nil : try PageData.Field(logits.difference),
          ids: logits.ids.isEmpty ? nil : try PageData.Field(logits.ids),
          rest: logits.rest.isEmpty ? nil : try PageData.Field(logits.rest),
          ranks: try PageData.Field(logits.ranks), attention: attention, sums: sums, inputs: inputs, codes: looks,
          draws: draws),
        pictures: strip, photo: photo, presets: PageData.Preset.all(configuration),
        sizes: PageData.Size.all(configuration),
        expected: try PageExpectations(run, isPart: logits.isPart, as: B.self, on: device))
    }

    // All candidates if their page is small enough; with less than two bytes for each it cannot be.
    let length = configuration.scaleList.length
    if 2 * length * configuration.vocabulary <= limit {
      let all = try PackedLogits(run, most: configuration.vocabulary, as: B.self, on: device)
      let html = try Self.html(data(all))
      if html.utf8.count <= limit {
        (self.html, candidates) = (html, nil)
        return
      }
    }
    // The size of a page with next to no candidates, then as many as what is left has room for.
    let smallest = try Self.html(data(PackedLogits(run, most: 1, as: B.self, on: device)))
    let each = length * PackedLogits.bytesPerCandidate(run)
    let count = min((limit - smallest.utf8.count - 1000) / each, configuration.vocabulary - 1)
    guard count >= min(5, configuration.vocabulary - 1) else {
      let needed = smallest.utf8.count + 1000 + 5 * each
      throw Failure(
        "the page needs at least \(String(format: "%.1f", (Double(needed) / 1e5).rounded(.up) / 10)) MB for "
          + "\(length) tokens: use a larger --limit")
    }
    var best = (html: try Self.html(data(PackedLogits(run, most: count, as: B.self, on: device))), count: count)
    guard best.html.utf8.count <= limit else {
      throw Failure("the page has \(best.html.utf8.count) bytes, more than --limit")
    }
    // zlib has made room for some more, at what a candidate really takes.
    let real = Double(best.html.utf8.count - smallest.utf8.count) / Double(max(count - 1, 1))
    let more = min(Int(Double(limit - smallest.utf8.count) / (1.02 * max(real, 1))), configuration.vocabulary - 1)
    if more > count {
      let html = try Self.html(data(PackedLogits(run, most: more, as: B.self, on: device)))
      if html.utf8.count <= limit { best = (html, more) }
    }
    (html, candidates) = (best.html, best.count)
  }

  /// The first windowed scale; the number of scales where none is.
  private static func refine(_ configuration: TransformerConfiguration) -> Int {
    configuration.attention == .mvar ? configuration.refineStep : configuration.scaleList.count
  }

  /// Images side by side as a PNG in a link, made smaller until they take at most `most` bytes.
  private static func strip(_ images: [PixelImage], most: Int) throws -> String {
    var images = images
    while true {
      let bytes = try ImageGrid(gap: 0).rows([images]).pngBytes()
      if bytes.count * 4 / 3 <= most || images[0].width <= 32 {
        return "data:image/png;base64," + Data(bytes).base64EncodedString()
      }
      images = try images.map { try $0.resized(width: $0.width / 2, height: $0.height / 2, filter: .box) }
    }
  }

  /// The random number of each token, as its 32 bits: all high halves, then all low ones.
  private static func draws(_ run: ExplainedRun, seed: UInt64) -> [UInt16] {
    let stream = RandomStream(seed: seed, stream: 0)
    let words = run.tokens.indices.map { UInt32(stream.uniform($0, purpose: .token) * 0x1p32) }
    return words.map { UInt16($0 >> 16) } + words.map { UInt16(truncatingIfNeeded: $0) }
  }

  /// The page's texts with the data in their place.
  private static func html(_ data: PageData) throws -> String {
    try PageText.html.replacingOccurrences(of: PageText.dataMark, with: data.json())
  }
}

/// The texts of the page, which are embedded in the program.
private enum PageText {
  /// Stands where the data go.
  static let dataMark = "{\"data\": null}"

  /// The page without data.
  static let html: String = {
    var scripts = ""
    var index = 0
    while let text = page_script_at(index) {
      scripts += String(cString: text)
      index += 1
    }
    return String(cString: page_html())
      .replacingOccurrences(of: "/* page.css */\n", with: String(cString: page_style()))
      .replacingOccurrences(of: "/* scripts */\n", with: scripts)
  }()
}
