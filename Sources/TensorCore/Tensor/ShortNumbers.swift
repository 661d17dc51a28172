// What an optimizer keeps in short numbers between two steps: gradients in bf16, moments in 8 bits.
//
//     gradient g:       bf16(g), to nearest even
//     first moment m:   ±s·x with x = 0 or 2ᵉ·(1 + j/8), j = 0 … 7, from 1.125·2⁻¹⁵ to 1.875; s = max |m|/1.875
//     second moment v:  (s·x)² with x = 0 or 2ᵉ·(1 + j/16), j = 0 … 15, from 1.0625·2⁻¹⁵ to 1.9375; s = max √v/1.9375
//
// Maxima are taken, and scales s are kept, for each block of 256 elements in row-major order: block-wise quantization
// (Dettmers et al., "8-bit optimizers via block-wise quantization", 2021, arXiv 2110.02861). Their code is dynamic as
// this one is: short floating-point numbers, whose error is relative, since the moments in a block span decades. With
// equal distances instead, small v would be 0, and m/(√v + ε) would be millions. Here √v is kept, which has half the
// decades of v; a v > 0 that is too small takes the smallest code, so that steps are too short rather than too long.
//
// Moments are rounded at random, up with the probability that makes the mean of m and of √v exact. To nearest they would
// stop moving: a step changes √v by 1 − √β₂ = 2.5 % at most if gradients vanish, half a code is 3 %. The mean of v is
// then too large by the variance, 0.1 % a step at most, which shortens steps. The random numbers are a function of the
// parameter, its step and the element, never of threads.

/// How an optimizer keeps gradients.
public enum GradientFormat: String, CaseIterable, Sendable {
  /// Single precision, or the engine's own.
  case float32
  /// Half the memory. Each micro-batch's gradient is added in single precision and the sum rounded, so that a sum of n
  /// errs by up to n·2⁻⁹ of its largest partial sum: micro-batches should be few.
  case bf16
}

/// How an optimizer keeps moments.
public enum MomentFormat: String, CaseIterable, Sendable {
  /// Single precision, or the engine's own.
  case float32
  /// A quarter of the memory: bytes with a scale for each block of 256.
  case int8
}

/// A row of short numbers that an optimizer keeps.
public struct ShortNumbers: Sendable {
  /// What each number is.
  public enum Code: Sendable {
    /// 16 bits.
    case bf16
    /// The sign, and 7 bits of a magnitude: 0, or 8 codes for each power of two.
    case firstMoment
    /// 8 bits: 0, or 16 codes for each power of two.
    case secondMoment

    /// Bytes of a number.
    public var width: Int { self == .bf16 ? 2 : 1 }

    /// The largest scale of a block whose numbers are finite; 1 for bf16, which has none.
    public var largestScale: Float {
      switch self {
      case .bf16: 1
      case .firstMoment: .greatestFiniteMagnitude / ShortCode.largestFirst
      case .secondMoment: Float.greatestFiniteMagnitude.squareRoot() / ShortCode.largestSecond
      }
    }
  }

  /// Elements with one scale.
  public static let blockLength = 256

  /// What each number is.
  public let code: Code
  /// How many there are.
  public let count: Int
  /// The numbers, and after them the scales.
  let memory: HostBuffer<Float>

  /// Uninitialized numbers.
  init(uninitialized code: Code, count: Int) {
    (self.code, self.count) = (code, count)
    let words = (count * code.width + 3) / 4
    memory = HostBuffer(count: words + (code == .bf16 ? 0 : Self.blocks(count)))
  }

  /// Zeros.
  public init(zeros code: Code, count: Int) {
    self.init(uninitialized: code, count: count)
    memory.start.update(repeating: 0, count: memory.count)
  }

  /// Numbers as a file holds them.
  ///
  /// - Parameters:
  ///   - code: the format of the numbers.
  ///   - bytes: of all numbers, little-endian.
  ///   - scales: s of each block of 256; none for bf16.
  public init(_ code: Code, bytes: [UInt8], scales: [Float] = []) {
    self.init(zeros: code, count: bytes.count / code.width)
    precondition(
      bytes.count == count * code.width && scales.count == (code == .bf16 ? 0 : Self.blocks(count)),
      "\(bytes.count) bytes and \(scales.count) scales for \(count) short numbers")
    start.copyMemory(from: bytes, byteCount: bytes.count)
    for (block, scale) in scales.enumerated() { scaleStart[block] = scale }
  }

  /// The number of blocks.
  public static func blocks(_ count: Int) -> Int { (count + blockLength - 1) / blockLength }

  /// The bytes of all numbers, as a file holds them.
  public var bytes: [UInt8] {
    withExtendedLifetime(memory) { [UInt8](UnsafeRawBufferPointer(start: start, count: count * code.width)) }
  }

  /// s of each block; none for bf16.
  public var scales: [Float] {
    withExtendedLifetime(memory) {
      Array(UnsafeBufferPointer(start: scaleStart, count: code == .bf16 ? 0 : Self.blocks(count)))
    }
  }

  /// The numbers that they stand for.
  public var values: [Float] {
    [Float](unsafeUninitializedCapacity: count) { values, count in
      if let start = values.baseAddress { widen(0..<self.count, to: start) }
      count = self.count
    }
  }

  // MARK: Memory

  /// The first number.
  var start: UnsafeMutableRawPointer { UnsafeMutableRawPointer(memory.start) }

  /// The first scale.
  var scaleStart: UnsafeMutablePointer<Float> { memory.start + (count * code.width + 3) / 4 }

  /// The same numbers in memory of their own.
  var copied: ShortNumbers {
    let copy = ShortNumbers(uninitialized: code, count: count)
    copy.memory.start.update(from: memory.start, count: memory.count)
    return copy
  }

  /// Writes the numbers that some of them stand for; ranges of moments begin at a block.
  func widen(_ range: Range<Int>, to target: UnsafeMutablePointer<Float>) {
    withExtendedLifetime(memory) {
      switch code {
      case .bf16:
        ShortCode.widen(start.assumingMemoryBound(to: UInt16.self) + range.lowerBound, target, range.count)
      case .firstMoment, .secondMoment:
        let codes = start.assumingMemoryBound(to: UInt8.self)
        for first in stride(from: range.lowerBound, to: range.upperBound, by: Self.blockLength) {
          let length = min(Self.blockLength, range.upperBound - first)
          let (scale, place) = (scaleStart[first / Self.blockLength], target + (first - range.lowerBound))
          if code == .firstMoment {
            ShortCode.widenFirst(codes + first, scale, place, length)
          } else {
            ShortCode.widenSecond(codes + first, scale, place, length)
          }
        }
      }
    }
  }
}
