// A photo as tokens and back, with the tokenizer that ships with MVAR. It has seen nothing but
// emoji, so that a photo comes back roughly. Nothing is written.

import MVARMedia
import MVARPipeline

/// A photo that was encoded and decoded.
public struct Reconstruction: Sendable {
  /// What the tokenizer saw: the photo's middle square at the tokenizer's size.
  public let original: PixelImage
  /// What its tokens decode to.
  public let decoded: PixelImage
  /// How many tokens each scale has.
  public let tokenCounts: [Int]

  /// The mean difference of a channel of a pixel between the two, in 255ths.
  public var meanError: Double { Self.meanDifference(original.pixels, decoded.pixels) }

  /// The same for the decoded image upside down, which shows what a difference is worth.
  public var meanErrorUpsideDown: Double {
    let rows = stride(from: 0, to: decoded.pixels.count, by: 3 * decoded.width).reversed()
    return Self.meanDifference(original.pixels, rows.flatMap { decoded.pixels[$0..<$0 + 3 * decoded.width] })
  }

  private static func meanDifference(_ x: [UInt8], _ y: [UInt8]) -> Double {
    Double(zip(x, y).reduce(0) { $0 + abs(Int($1.0) - Int($1.1)) }) / Double(x.count)
  }
}

/// Encodes and decodes a photo.
public func reconstruction(ofPhotoAt path: String) async throws -> Reconstruction {
  let generator = try ImageGenerator.shipped()
  let photo = try PixelImage.load(path)
  let tokens = try await generator.encode(photo)
  return Reconstruction(
    original: try photo.centerCrop(generator.imageSide), decoded: try await generator.decode(tokens),
    tokenCounts: tokens.map(\.count))
}
