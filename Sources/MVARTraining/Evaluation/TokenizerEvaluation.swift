// Sends images through the tokenizer and back: how close the results are, and which codes are used at each scale.
//
//     fraction of a scale = distinct tokens found at this scale / V
//
// PSNR is the mean over images, computed before the result is rounded to bytes, as validation during training does.

import Foundation
import MVAR
import MVARCollectives
import MVARMedia
import TensorCore

/// Why an evaluation cannot continue.
public struct EvaluationError: Error, Equatable, CustomStringConvertible, LocalizedError {
  /// One sentence without a full stop.
  public let description: String

  /// An error with its sentence.
  public init(_ description: String) { self.description = description }

  /// The same sentence, for callers that only know `Error`.
  public var errorDescription: String? { description }

  static let notNumbers = EvaluationError(
    "the tokenizer's output is not made of finite numbers: its weights are damaged or do not fit")
}

/// Reconstructs images and counts the codes they use.
public struct TokenizerEvaluation<B: Backend> {
  /// The tokenizer.
  public let tokenizer: VQVAE<B>
  /// Whether a code was found at a scale, [S][V].
  public private(set) var isUsed: [[Bool]]
  private let device: B.Device
  private let batch: Int

  /// An evaluation in which nothing has been counted yet.
  public init(_ tokenizer: VQVAE<B>, on device: B.Device) {
    self.tokenizer = tokenizer
    self.device = device
    // As many pixels at once as sixteen images of 64 × 64 have.
    let side = tokenizer.configuration.imageSide
    batch = max(16 * 64 * 64 / (side * side), 1)
    let configuration = tokenizer.configuration
    let unused = [Bool](repeating: false, count: configuration.vocabulary)
    isUsed = [[Bool]](repeating: unused, count: configuration.scaleList.count)
  }

  /// The fraction of codes that were found at each scale.
  public var shares: [Double] { isUsed.map { Double($0.count { $0 }) / Double($0.count) } }

  /// The fraction of codes that were found at any scale.
  public var totalShare: Double {
    guard let first = isUsed.first else { return 0 }
    let used = first.indices.count { code in isUsed.contains { $0[code] } }
    return Double(used) / Double(first.count)
  }

  /// Encodes and decodes images, and counts their codes. Several processes share the images out; the first one has the
  /// results, the same bits as one process alone, and the others have none.
  ///
  /// - Parameters:
  ///   - images: each [side, side, 3] with the tokenizer's side.
  ///   - collectives: the processes that call this together.
  ///   - onProgress: receives how many images are done.
  /// - Returns: the reconstructions as bytes, and their quality.
  /// - Throws: `EvaluationError` when the tokenizer's output is not finite.
  public mutating func reconstruct(
    _ images: [[UInt8]], collectives: any Collectives = SingleProcess(), onProgress: (Int) throws -> Void = { _ in }
  ) throws -> (images: [[UInt8]], quality: ReconstructionQuality) {
    let batches = stride(from: 0, to: images.count, by: batch).map { $0..<min($0 + batch, images.count) }
    var (quality, shown, used) = (ReconstructionQuality(), [[UInt8]](), isUsed)
    try collectives.share(batches.count) { piece in
      try reconstruction(Array(images[batches[piece]]))
    } take: { (piece, batch: ReconstructedBatch) in
      for (scale, codes) in batch.codes.enumerated() { for code in codes { used[scale][Int(code)] = true } }
      quality.add(batch.meanSquares)
      shown += batch.images
      try onProgress(batches[piece].upperBound)
    }
    isUsed = used
    return (shown, quality)
  }

  /// One batch.
  private func reconstruction(_ part: [[UInt8]]) throws -> ReconstructedBatch {
    let side = tokenizer.configuration.imageSide
    let originals = ImageBatch(labels: part.map { _ in 0 }, pixels: part, side: side).images
    let images = try Tensor<B>(B.Scalar.array(originals), shape: [part.count, 3, side, side], on: device)
    let features = try tokenizer.features(Variable(images))
    // A code that is not finite has no nearest one.
    guard try B.isFinite(features.value) else { throw EvaluationError.notNumbers }
    let quantized = tokenizer.quantizer.encode(features)
    let values = try Self.values(tokenizer, quantized.sums[quantized.sums.count - 1].value)
    return ReconstructedBatch(
      images: try Self.bytes(values, side: side),
      meanSquares: ReconstructionQuality.meanSquares(originals, values, images: part.count),
      codes: try quantized.tokens.map { try $0.values().map { Int32($0) } })
  }

  /// The images of f̂, as bytes.
  ///
  /// - Parameter sum: f̂ after the last scale [B, Z, P, P].
  /// - Returns: B images, each [side, side, 3].
  /// - Throws: `EvaluationError` when the tokenizer's output is not finite.
  public func decode(_ sum: Tensor<B>) throws -> [[UInt8]] {
    try stride(from: 0, to: sum.shape[0], by: batch).flatMap { start in
      let part = sum.rows(start..<min(start + batch, sum.shape[0]))
      return try Self.bytes(Self.values(tokenizer, part), side: tokenizer.configuration.imageSide)
    }
  }

  private static func values(_ tokenizer: VQVAE<B>, _ sum: Tensor<B>) throws -> [Float] {
    let values = try tokenizer.decode(Variable(sum)).value.scalars().map { Float($0) }
    guard values.allSatisfy(\.isFinite) else { throw EvaluationError.notNumbers }
    return values
  }

  private static func bytes(_ values: [Float], side: Int) throws -> [[UInt8]] {
    let each = 3 * side * side
    return try stride(from: 0, to: values.count, by: each).map { start in
      try PixelImage(planar: values[start..<start + each], width: side, height: side, rounding: .nearest).pixels
    }
  }
}

/// What is known of the images of one batch.
private struct ReconstructedBatch: RankMessage {
  /// As bytes.
  let images: [[UInt8]]
  /// The mean squared error of each.
  let meanSquares: [Double]
  /// The tokens of all of them, scale by scale.
  let codes: [[Int32]]
}

extension ReconstructedBatch {
  var parts: [[UInt8]] { [RankBytes.of(meanSquares)] + codes.map { RankBytes.of($0) } + images }

  init(parts: [[UInt8]]) {
    meanSquares = RankBytes.numbers(parts[0])
    images = Array(parts.suffix(meanSquares.count))
    codes = parts[1..<parts.count - meanSquares.count].map { RankBytes.numbers($0) }
  }
}
