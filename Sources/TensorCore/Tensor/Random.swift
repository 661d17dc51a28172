// Counter-based random numbers: Philox 4×32 with ten rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2,
// 3", SC 2011). A number is a pure function of (seed, stream, purpose, index), so an image gets the same numbers
// whatever its position in the batch, the number of threads or the engine; nothing is ever "the next" number.

/// An independent, randomly addressable sequence of random numbers.
public struct RandomStream: Hashable, Sendable {
  /// The purpose of a number; different purposes never share numbers.
  public enum Purpose: UInt32, Sendable {
    /// Sampling one token per position.
    case token = 0
    /// Gumbel noise of smooth sampling.
    case smooth = 1
    /// Initial weights.
    case initialization = 2
    /// Which samples drop their label or a residual branch, or are flipped, in training.
    case regularization = 3
    /// The order of the training set.
    case shuffling = 4
    /// The optimizer's moments in short numbers.
    case rounding = 5
  }

  /// The key: the user's seed.
  public let seed: UInt64
  /// The stream of that seed, for example the index of the image.
  public let stream: UInt64

  /// The stream of a seed; in sampling, `stream` is the index of the image.
  public init(seed: UInt64, stream: UInt64) {
    self.seed = seed
    self.stream = stream
  }

  /// Four independent 32-bit words.
  @inlinable
  public func words(block: UInt32, purpose: Purpose) -> SIMD4<UInt32> {
    philox4x32(
      counter: [
        block, purpose.rawValue, UInt32(truncatingIfNeeded: stream), UInt32(truncatingIfNeeded: stream >> 32),
      ],
      key: [UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32)])
  }

  /// A number in (0, 1): (word + ½)·2⁻³².
  ///
  /// - Parameters:
  ///   - index: 0 ..< 2³⁴.
  ///   - purpose: what the number is for; numbers of two purposes are independent.
  @inlinable
  public func uniform(_ index: Int, purpose: Purpose) -> Double {
    let four = words(block: UInt32(truncatingIfNeeded: index >> 2), purpose: purpose)
    return (Double(four[index & 3]) + 0.5) * 0x1p-32
  }
}

/// The Philox 4×32 bijection with ten rounds.
///
/// - Parameters:
///   - counter: the index of the block of four words.
///   - key: the seed.
@inlinable
public func philox4x32(counter: SIMD4<UInt32>, key: SIMD2<UInt32>) -> SIMD4<UInt32> {
  var c = counter
  var k = key
  for round in 0..<10 {
    if round > 0 { k = k &+ SIMD2<UInt32>(0x9E37_79B9, 0xBB67_AE85) }
    let first = UInt64(0xD251_1F53) * UInt64(c[0])
    let second = UInt64(0xCD9E_8D57) * UInt64(c[2])
    c = [
      UInt32(truncatingIfNeeded: second >> 32) ^ c[1] ^ k[0], UInt32(truncatingIfNeeded: second),
      UInt32(truncatingIfNeeded: first >> 32) ^ c[3] ^ k[1], UInt32(truncatingIfNeeded: first),
    ]
  }
  return c
}
