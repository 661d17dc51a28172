// A photo as tokens and back, with the tokenizer that ships with MVAR. Nothing is written.

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

  /// The mean difference of a channel of a pixel, in 255ths.
  public var meanError: Double {
    let differences = zip(original.pixels, decoded.pixels).map { abs(Int($0) - Int($1)) }
    return Double(differences.reduce(0, +)) / Double(differences.count)
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
