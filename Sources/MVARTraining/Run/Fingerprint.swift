// Fingerprints of what a training works on: two sets of images, or two tokenizers, that differ in a single pixel or weight have
// different ones. 64-bit FNV-1a: it notices what was changed by accident, and does not resist an attacker.

import MVAR
import TensorCore

/// The hash of everything that was added, in order.
public struct Fingerprint: Hashable, Sendable {
  /// The hash.
  public private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

  /// The fingerprint of nothing.
  public init() {}

  /// Adds bytes.
  public mutating func add(_ bytes: [UInt8]) {
    for byte in bytes { add(UInt64(byte)) }
  }

  /// Adds numbers, bit by bit.
  public mutating func add(_ values: [Float]) {
    for number in values { add(UInt64(number.bitPattern)) }
  }

  /// Adds a number.
  public mutating func add(_ number: UInt64) { value = (value ^ number) &* 0x100_0000_01B3 }

  /// The hash as hexadecimal digits.
  public var text: String { String(value, radix: 16) }
}

extension Fingerprint {
  /// Adds the values of a tensor, rounded to single precision.
  ///
  /// - Throws: what the engine throws when a transfer fails.
  public mutating func add<B: Backend>(_ tensor: Tensor<B>) throws {
    let values = try tensor.scalars()
    add(values as? [Float] ?? values.map { Float($0) })
  }

  /// That of the codes of a tokenizer.
  ///
  /// - Throws: what the engine throws when a transfer fails.
  public static func codes<B: Backend>(of tokenizer: VQVAE<B>) throws -> String {
    var fingerprint = Fingerprint()
    try fingerprint.add(tokenizer.quantizer.codebook.weight.value)
    if tokenizer.configuration.normalizesCodes { fingerprint.add(1) }
    return fingerprint.text
  }

  /// That of everything in a tokenizer that turns images into tokens and inputs: all of it but the decoder.
  ///
  /// - Throws: what the engine throws when a transfer fails.
  public static func encoder<B: Backend>(of tokenizer: VQVAE<B>) throws -> String {
    var fingerprint = Fingerprint()
    for parameter in tokenizer.parameters {
      let key = CheckpointNames.key(of: parameter.name, in: .tokenizer)
      if key.hasPrefix("decoder.") || key.hasPrefix("post_quant_conv.") { continue }
      try fingerprint.add(parameter.value)
    }
    return fingerprint.text
  }
}

extension LabeledImages {
  /// The fingerprint of all pixels, of training and of validation.
  public var pixelFingerprint: String {
    var fingerprint = Fingerprint()
    for example in training + validation {
      fingerprint.add(UInt64(example.label))
      fingerprint.add(example.pixels)
    }
    return fingerprint.text
  }
}

extension CachedLatents {
  /// The fingerprint of all tokens, of training and of validation.
  public var tokenFingerprint: String {
    var fingerprint = Fingerprint()
    for example in training + validation {
      fingerprint.add(UInt64(example.label))
      fingerprint.add(example.checksum)
    }
    return fingerprint.text
  }
}
