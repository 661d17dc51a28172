// The multiplications of `TiledProduct` for elements that are words of short numbers: s += a₁b₁ + a₀b₀ of two bf16, and
// s += Σ aᵢbᵢ of four bytes, signed in the first factor and unsigned in the second. Each has a plain twin for processors
// without the instruction, and for the tests.
//
// Pairs: the product of two bf16 is exact in float32, so the plain twin widens the words while they are copied and adds
// the same two numbers in the same order, rounding as often: it gives the same bits, whether multiplication and addition
// are one instruction or two. Only below 2⁻¹²⁶ does the instruction differ: it takes factors and sums as zero there.
// Which of the two is faster depends on the processor: per core and second, Zen 4 and 5 add twice as many products of
// bf16 as of float32, and an Emerald Rapids half as many (82 and 167 GFLOP/s; its matrix unit is not used).
// Bytes: integers, so all ways are equal.

import CMVARProcessor

/// What the elements of a product are, and how they are multiplied.
package enum ProductElements: Sendable {
  /// Numbers in single precision.
  case numbers
  /// Two bf16 in each, by the processor's instruction.
  case pairs
  /// Two bf16 in each, widened to single precision while they are copied.
  case plainPairs
  /// Four bytes in each, by the processor's instruction; sums are integers.
  case bytes
  /// The same with integers of 32 bits.
  case plainBytes

  /// Whether this processor has the instructions.
  package static let hasInstructions = HAS_SHORT_PRODUCTS == 1

  /// Whether the instruction for pairs is faster than two for numbers.
  package static let hasFastPairs = hasInstructions && hasSlowPairs() == 0

  /// The fastest way on this processor to multiply by a weight.
  static func of(_ format: WeightFormat) -> ProductElements {
    switch format {
    case .float32: .numbers
    case .bf16: hasFastPairs ? .pairs : .plainPairs
    case .int8: hasInstructions ? .bytes : .plainBytes
    }
  }
}

/// Sums of short products in lanes of 32 bits.
private protocol ShortLanes: PanelLanes {
  associatedtype Lanes: SIMD where Lanes.Scalar == Float
  var lanes: Lanes { get set }
  init(lanes: Lanes)
}

extension ShortLanes {
  static var width: Int { Lanes.scalarCount }
  static var zero: Self { Self(lanes: Lanes()) }
  @inline(__always) init(_ start: UnsafePointer<Float>) {
    self.init(lanes: UnsafeRawPointer(start).loadUnaligned(as: Lanes.self))
  }
}

/// Sums that are numbers.
private protocol NumberLanes: ShortLanes {}
extension NumberLanes {
  @inline(__always) func write(_ c: UnsafeMutablePointer<Float>, isFirst: Bool) {
    UnsafeMutableRawPointer(c).storeBytes(of: isFirst ? lanes : Self(c).lanes + lanes, as: Lanes.self)
  }
}

// MARK: By instructions

enum Pairs: LaneFamily {
  struct Eight: NumberLanes {
    var lanes: SIMD8<Float>
    @inline(__always) mutating func add(_ factor: Float, _ columns: Self) {
      lanes = addPairs8(lanes, SIMD8(repeating: factor), columns.lanes)
    }
  }
  struct Sixteen: NumberLanes {
    var lanes: SIMD16<Float>
    @inline(__always) mutating func add(_ factor: Float, _ columns: Self) {
      lanes = addPairs16(lanes, SIMD16(repeating: factor), columns.lanes)
    }
  }
}

enum Bytes: LaneFamily {
  struct Eight: ShortLanes {
    var lanes: SIMD8<Float>
    @inline(__always) mutating func add(_ factor: Float, _ columns: Self) {
      lanes = addBytes8(lanes, columns.lanes, SIMD8(repeating: factor))
    }
    @inline(__always) func write(_ c: UnsafeMutablePointer<Float>, isFirst: Bool) {
      writeIntegers(unsafeBitCast(lanes, to: SIMD8<Int32>.self), c, isFirst: isFirst)
    }
  }
  struct Sixteen: ShortLanes {
    var lanes: SIMD16<Float>
    @inline(__always) mutating func add(_ factor: Float, _ columns: Self) {
      lanes = addBytes16(lanes, columns.lanes, SIMD16(repeating: factor))
    }
    @inline(__always) func write(_ c: UnsafeMutablePointer<Float>, isFirst: Bool) {
      writeIntegers(unsafeBitCast(lanes, to: SIMD16<Int32>.self), c, isFirst: isFirst)
    }
  }
}

/// Sets the integers at `c`, or adds to them.
@inline(__always)
private func writeIntegers<V: SIMD>(_ sums: V, _ c: UnsafeMutablePointer<Float>, isFirst: Bool)
where V.Scalar == Int32 {
  let c = UnsafeMutableRawPointer(c)
  c.storeBytes(of: isFirst ? sums : c.loadUnaligned(as: V.self) &+ sums, as: V.self)
}

// MARK: Plain twins

/// Words of two bf16 have been widened: these are numbers whose products are exact.
enum PlainPairs: LaneFamily {
  struct Eight: NumberLanes {
    var lanes: SIMD8<Float>
    @inline(__always) mutating func add(_ factor: Float, _ columns: Self) {
      lanes = sum(lanes, SIMD8(repeating: factor), columns.lanes)
    }
  }
  struct Sixteen: NumberLanes {
    var lanes: SIMD16<Float>
    @inline(__always) mutating func add(_ factor: Float, _ columns: Self) {
      lanes = sum(lanes, SIMD16(repeating: factor), columns.lanes)
    }
  }
}

/// s + a·b, in one instruction where there is one: without it, the library would be called for every lane.
@inline(__always)
private func sum<V: SIMD>(_ s: V, _ a: V, _ b: V) -> V where V.Scalar == Float {
  HAS_FUSED_PRODUCTS == 1 ? s.addingProduct(a, b) : s + a * b
}

enum PlainBytes: LaneFamily {
  struct Eight: ShortLanes {
    var lanes: SIMD8<Float>
    @inline(__always) mutating func add(_ factor: Float, _ columns: Self) {
      var sums = unsafeBitCast(lanes, to: SIMD8<Int32>.self)
      let (a, b) = (Int32(bitPattern: factor.bitPattern), unsafeBitCast(columns.lanes, to: SIMD8<Int32>.self))
      sums &+= SIMD8(repeating: (a << 24) >> 24) &* (b & 255)
      sums &+= SIMD8(repeating: (a << 16) >> 24) &* ((b &>> 8) & 255)
      sums &+= SIMD8(repeating: (a << 8) >> 24) &* ((b &>> 16) & 255)
      sums &+= SIMD8(repeating: a >> 24) &* ((b &>> 24) & 255)
      lanes = unsafeBitCast(sums, to: SIMD8<Float>.self)
    }
    @inline(__always) func write(_ c: UnsafeMutablePointer<Float>, isFirst: Bool) {
      writeIntegers(unsafeBitCast(lanes, to: SIMD8<Int32>.self), c, isFirst: isFirst)
    }
  }
  struct Sixteen: ShortLanes {
    var lanes: SIMD16<Float>
    @inline(__always) mutating func add(_ factor: Float, _ columns: Self) {
      var sums = unsafeBitCast(lanes, to: SIMD16<Int32>.self)
      let (a, b) = (Int32(bitPattern: factor.bitPattern), unsafeBitCast(columns.lanes, to: SIMD16<Int32>.self))
      sums &+= SIMD16(repeating: (a << 24) >> 24) &* (b & 255)
      sums &+= SIMD16(repeating: (a << 16) >> 24) &* ((b &>> 8) & 255)
      sums &+= SIMD16(repeating: (a << 8) >> 24) &* ((b &>> 16) & 255)
      sums &+= SIMD16(repeating: a >> 24) &* ((b &>> 24) & 255)
      lanes = unsafeBitCast(sums, to: SIMD16<Float>.self)
    }
    @inline(__always) func write(_ c: UnsafeMutablePointer<Float>, isFirst: Bool) {
      writeIntegers(unsafeBitCast(lanes, to: SIMD16<Int32>.self), c, isFirst: isFirst)
    }
  }
}
