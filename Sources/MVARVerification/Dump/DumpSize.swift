// How large a dump will be, so that one that would fill the memory is refused before hours are spent on it.

import Foundation
import MVAR

/// The number of elements of a dump.
struct DumpSize {
  /// Floating-point numbers.
  private(set) var numbers = 0
  /// Tokens, stored in 64 bits.
  private(set) var tokens = 0
  private let bytesPerNumber: Int

  /// The bytes of all tensors.
  var bytes: Int { numbers * bytesPerNumber + tokens * 8 }

  init(
    transformer: TransformerConfiguration, tokenizer: TokenizerConfiguration, _ request: DumpRequest,
    bytesPerNumber: Int
  ) {
    self.bytesPerNumber = bytesPerNumber
    if request.image != nil { addEncoder(tokenizer) }
    let isGuided = request.options.guidance != 1 || transformer.attention.seesEarlierScales
    numbers += (isGuided ? 2 : 1) * transformer.width * (3 + 6 * transformer.depth)
    for scale in request.scales { addSampling(scale, transformer, tokenizer, isGuided: isGuided) }
    if request.scales.upperBound == tokenizer.scaleList.count { addDecoder(tokenizer) }
    if request.hasGradients { addSegments(transformer, request.scales) }
  }

  /// Refuses a dump above the limit.
  func check(limit: Int) throws {
    guard bytes > limit else { return }
    throw GoldenDraftError(
      "the dump would take \(Self.text(bytes)), and the limit is \(Self.text(limit)); ask for fewer scales with --scales, "
        + "or raise --limit")
  }

  private static func text(_ bytes: Int) -> String {
    let mebibytes = Double(bytes) / Double(1 << 20)
    return mebibytes < 1 ? "\(bytes) bytes" : "\(Int(mebibytes.rounded(.up))) MiB"
  }

  /// The values of the embedded tokens on their way through the blocks, up to the logits.
  private static func forward(rows: Int, _ model: TransformerConfiguration) -> Int {
    // norm1, qkv, q, k, v, attention, proj, residual1, norm2, fc1, gelu, fc2, residual2
    let block = 1 + 3 + 3 + 1 + 1 + 1 + 1 + 4 + 4 + 1 + 1
    return rows * (model.width * (2 + model.depth * block) + model.vocabulary)
  }

  private mutating func addSampling(
    _ scale: Int, _ model: TransformerConfiguration, _ tokenizer: TokenizerConfiguration, isGuided: Bool
  ) {
    let (count, rows) = (model.scaleList.tokens(of: scale).count, isGuided ? 2 : 1)
    if scale > 0 { numbers += rows * count * model.codeWidth }
    numbers += Self.forward(rows: rows * count, model) + (isGuided ? 2 : 1) * count * model.vocabulary
    addCodes(scale, tokenizer)
  }

  /// Tokens, codes, Φ's result and f̂ of a scale.
  private mutating func addCodes(_ scale: Int, _ tokenizer: TokenizerConfiguration) {
    let count = tokenizer.scaleList.tokens(of: scale).count
    tokens += count
    numbers += tokenizer.codeWidth * (count + 2 * Self.area(tokenizer.scaleList.lastSide))
  }

  private mutating func addSegments(_ model: TransformerConfiguration, _ scales: Range<Int>) {
    for segment in ScaleTrajectory(model).segments where segment.overlaps(scales) {
      let range = segment.clamped(to: scales)
      numbers += 2 * Self.forward(rows: model.scaleList.tokens(of: range).count, model) + 1
      numbers += Int(TransformerCost(model).parameters)
    }
  }

  private static func area(_ side: Int) -> Int { side * side }

  private mutating func addEncoder(_ model: TokenizerConfiguration) {
    let (widths, last) = (model.widths, model.multipliers.count - 1)
    numbers += (3 + model.channels) * Self.area(model.imageSide)
    for (index, width) in widths.enumerated() {
      let area = Self.area(model.imageSide >> index)
      numbers += model.blocks * width * area * (index == last ? 2 : 1)
      if index < last { numbers += width * area / 4 }
    }
    numbers += (4 * widths[last] + 2 * model.codeWidth) * Self.area(model.scaleList.lastSide)
    for scale in 0..<model.scaleList.count {
      numbers += model.codeWidth * model.scaleList.tokens(of: scale).count
      addCodes(scale, model)
    }
  }

  private mutating func addDecoder(_ model: TokenizerConfiguration) {
    let (widths, last) = (model.widths, model.multipliers.count - 1)
    numbers += (model.codeWidth + 4 * widths[last]) * Self.area(model.scaleList.lastSide)
    for (index, width) in widths.enumerated() {
      let area = Self.area(model.imageSide >> index)
      numbers += (model.blocks + 1) * width * area * (index == last ? 2 : 1)
      if index > 0 { numbers += 4 * width * area }
    }
    numbers += (model.channels * model.multipliers[0] + 6) * Self.area(model.imageSide)
  }
}
