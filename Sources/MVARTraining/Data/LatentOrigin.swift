// What made a file of cached tokens: the digests of the tokenizer and of the pixels that it encoded, as two more arrays of
// 32 bytes. The pixels are those after cropping and turning, so they stand for the picture and for its preparation. The
// flipped image follows from them.

import MVAR
import MVARCheckpoints
import MVARFiles
import TensorCore

/// Which tokenizer encoded which pixels.
public struct LatentOrigin: Sendable, Equatable {
  private static let tokenizerName = "tokenizer_sha256"
  private static let pixelsName = "pixels_sha256"

  /// The digest of the tokenizer, from ``digest(of:)``.
  public let tokenizer: [UInt8]
  /// The SHA-256 of the pixels: the side as text, then red, green and blue of every pixel.
  public let pixels: [UInt8]

  /// The origin of tokens.
  ///
  /// - Parameters:
  ///   - tokenizer: its digest.
  ///   - pixels: [side, side, 3].
  ///   - side: rows and columns.
  public init(tokenizer: [UInt8], pixels: [UInt8], side: Int) {
    self.tokenizer = tokenizer
    self.pixels = SHA256.digest(Array("\(side)\n".utf8) + pixels)
  }

  /// The origin that a file names; nil when it names none.
  ///
  /// - Throws: `FileError` when the arrays are not of 32 bytes.
  init?(of file: Checkpoint) throws(FileError) {
    func digest(_ name: String) throws(FileError) -> [UInt8]? {
      guard let tensor = file[name] else { return nil }
      guard tensor.scalarType == ScalarType.uint8, tensor.shape == [32] else {
        throw FileError(file.path, "holds \(name) as \(tensor.scalarType) \(tensor.shape), and it is uint8 [32]")
      }
      do {
        return try tensor.integers().map { UInt8(truncatingIfNeeded: $0) }
      } catch {
        throw FileError(file.path, because: error)
      }
    }
    switch (try digest(Self.tokenizerName), try digest(Self.pixelsName)) {
    case (let tokenizer?, let pixels?): (self.tokenizer, self.pixels) = (tokenizer, pixels)
    case (nil, nil): return nil
    default: throw FileError(file.path, "holds one of \(Self.tokenizerName) and \(Self.pixelsName) without the other")
    }
  }

  /// The arrays that name it in a file.
  func arrays() throws -> [(name: String, tensor: StoredTensor)] {
    [
      (Self.tokenizerName, try StoredTensor(tokenizer, shape: [32])),
      (Self.pixelsName, try StoredTensor(pixels, shape: [32])),
    ]
  }

  /// The SHA-256 of everything that tokens depend on: the sizes and the weights of the encoder and of the quantizer as
  /// float32, whatever the engine. The decoder's weights make no difference.
  ///
  /// - Throws: what reading the weights throws.
  public static func digest<B: Backend>(of tokenizer: VQVAE<B>) throws -> [UInt8] {
    let sizes = tokenizer.configuration
    var hash = SHA256()
    hash.add(Array("\(sizes.scaleList) \(sizes.normalizesCodes) \(sizes.phiSharing)\n".utf8))
    let keyed = tokenizer.parameters.map { (CheckpointNames.key(of: $0.name, in: .tokenizer), $0) }
    for (key, parameter) in keyed.sorted(by: { $0.0 < $1.0 }) {
      if key.hasPrefix("decoder.") || key.hasPrefix("post_quant_conv.") { continue }
      hash.add(Array("\(key) \(parameter.value.shape.dimensions)\n".utf8))
      let values = try parameter.value.scalars()
      let numbers = values as? [Float] ?? values.map { Float($0) }
      hash.add(numbers.withUnsafeBytes { [UInt8]($0) })
    }
    return hash.digest
  }
}
