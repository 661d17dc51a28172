// The weight of a linear layer in short numbers: bf16, or integers of one byte with a scale for each row.
//
//     bf16:  W[o, i] rounded to 8 significant bits, to nearest even
//     int8:  W[o, i] ≈ s[o]·q[o, i] with s[o] = maxᵢ |W[o, i]|/127 and q[o, i] = W[o, i]/s[o], to nearest even
//
// Rows lie one after the other as in a checkpoint file, so that a mapped file is used in place; only where a row is no
// whole number of words of four bytes is it copied and filled with zeros. Nothing is multiplied here.

/// W [O, I] of a linear layer, in bf16 or int8.
public struct ShortWeight: Sendable {
  /// What the numbers are: `bf16` or `int8`.
  public let format: WeightFormat
  /// O
  public let outputs: Int
  /// I
  public let inputs: Int
  /// s [O]; empty for bf16.
  public let scales: [Float]
  /// 128·Σᵢ q[o, i]: what a row's product with unsigned bytes has too much. Empty for bf16.
  let excess: [Int32]
  /// The rows, each filled with zeros up to `words`.
  let region: HostRegion
  /// Words of four bytes from one row to the next.
  let words: Int

  /// The most inputs of a byte product: its sum fits 32 bits.
  public static let mostInputs = 1 << 16

  /// Bytes of an element.
  private static func width(_ format: WeightFormat) -> Int { format == .bf16 ? 2 : 1 }

  private static func words(_ format: WeightFormat, inputs: Int) -> Int { (inputs * width(format) + 3) / 4 }

  private init(_ format: WeightFormat, outputs: Int, inputs: Int, _ region: HostRegion, scales: [Float] = []) {
    precondition(format != .float32, "a short weight of float32")
    precondition(
      format == .bf16 || (scales.count == outputs && inputs <= Self.mostInputs),
      "int8 weight [\(outputs), \(inputs)] with \(scales.count) scales")
    (self.format, self.outputs, self.inputs) = (format, outputs, inputs)
    (self.scales, self.region) = (scales, region)
    words = Self.words(format, inputs: inputs)
    excess = format == .int8 ? Self.excess(region, outputs: outputs, stride: 4 * words) : []
  }

  /// Numbers in row-major order, rounded.
  ///
  /// - Parameters:
  ///   - values: W [O, I]
  ///   - outputs: O.
  ///   - inputs: I.
  ///   - format: `bf16` or `int8`.
  public init(rounding values: [Float], outputs: Int, inputs: Int, to format: WeightFormat) {
    precondition(values.count == outputs * inputs, "\(values.count) numbers for a weight [\(outputs), \(inputs)]")
    let stride = 4 * Self.words(format, inputs: inputs)
    let memory = HostBuffer<Float>(count: outputs * stride / 4)
    var scales = [Float](repeating: 0, count: format == .int8 ? outputs : 0)
    values.withUnsafeBufferPointer { values in
      scales.withUnsafeMutableBufferPointer { scales in
        nonisolated(unsafe) let (values, scales) = (values, scales)
        nonisolated(unsafe) let start = UnsafeMutableRawPointer(memory.start)
        parallel(outputs, grain: rowsPerPiece(inputs)) { rows in
          for row in rows {
            let (x, target) = (
              UnsafeBufferPointer(rebasing: values[row * inputs..<(row + 1) * inputs]), start + row * stride
            )
            target.initializeMemory(as: UInt8.self, repeating: 0, count: stride)
            if format == .bf16 {
              let bits = target.assumingMemoryBound(to: UInt16.self)
              for i in x.indices { bits[i] = bfloat16(x[i]) }
            } else {
              scales[row] = Self.putBytes(x, target.assumingMemoryBound(to: Int8.self))
            }
          }
        }
      }
    }
    self.init(
      format, outputs: outputs, inputs: inputs,
      HostRegion(owner: memory, start: memory.start, byteCount: outputs * stride), scales: scales)
  }

  /// Numbers that are short already, in row-major order without gaps, used in place where rows are whole words.
  ///
  /// - Parameters:
  ///   - stored: little-endian bf16, or signed bytes.
  ///   - outputs: O.
  ///   - inputs: I.
  ///   - format: `bf16` or `int8`.
  ///   - scales: s [O] for signed bytes; none for bf16.
  public init(stored: HostRegion, outputs: Int, inputs: Int, format: WeightFormat, scales: [Float] = []) {
    let row = inputs * Self.width(format)
    precondition(stored.byteCount == outputs * row, "\(stored.byteCount) bytes for a weight [\(outputs), \(inputs)]")
    let stride = 4 * Self.words(format, inputs: inputs)
    guard stride != row else {
      self.init(format, outputs: outputs, inputs: inputs, stored, scales: scales)
      return
    }
    let memory = HostBuffer<Float>(count: outputs * stride / 4)
    let start = UnsafeMutableRawPointer(memory.start)
    start.initializeMemory(as: UInt8.self, repeating: 0, count: outputs * stride)
    withExtendedLifetime(stored.owner) {
      for output in 0..<outputs {
        (start + output * stride).copyMemory(from: stored.start + output * row, byteCount: row)
      }
    }
    self.init(
      format, outputs: outputs, inputs: inputs,
      HostRegion(owner: memory, start: memory.start, byteCount: outputs * stride), scales: scales)
  }

  /// The numbers without the zeros between rows, as a file holds them.
  public var bytes: [UInt8] {
    let row = inputs * Self.width(format)
    return withExtendedLifetime(region.owner) {
      [UInt8](unsafeUninitializedCapacity: outputs * row) { bytes, count in
        for output in 0..<outputs {
          UnsafeMutableRawBufferPointer(
            rebasing: UnsafeMutableRawBufferPointer(bytes)[output * row..<(output + 1) * row]
          )
          .copyMemory(from: UnsafeRawBufferPointer(start: region.start + output * 4 * words, count: row))
        }
        count = outputs * row
      }
    }
  }

  /// The numbers that it stands for, in row-major order.
  public var values: [Float] {
    [Float](unsafeUninitializedCapacity: outputs * inputs) { values, count in
      if let start = values.baseAddress { widen(to: start) }
      count = outputs * inputs
    }
  }

  /// Writes the numbers that it stands for.
  func widen(to target: UnsafeMutablePointer<Float>) {
    withExtendedLifetime(region.owner) {
      nonisolated(unsafe) let (start, target) = (region.start, target)
      parallel(outputs, grain: rowsPerPiece(inputs)) { rows in
        for row in rows {
          let (source, target) = (start + row * 4 * words, target + row * inputs)
          for i in 0..<inputs {
            target[i] =
              format == .bf16
              ? Float(bitPattern: UInt32(source.loadUnaligned(fromByteOffset: 2 * i, as: UInt16.self)) << 16)
              : scales[row] * Float(source.load(fromByteOffset: i, as: Int8.self))
          }
        }
      }
    }
  }

  // MARK: Rounding

  /// Rounds a row; the scale is 0 for a row of zeros and NaN for one that is not finite.
  private static func putBytes(_ x: UnsafeBufferPointer<Float>, _ target: UnsafeMutablePointer<Int8>) -> Float {
    var largest: UInt32 = 0
    for value in x { largest = max(largest, value.bitPattern & 0x7FFF_FFFF) }
    let (factor, scale) = byteScale(largest)
    guard factor > 0 else { return scale }
    for i in x.indices { target[i] = Int8((x[i] * factor).rounded(.toNearestOrEven)) }
    return scale
  }

  private static func excess(_ region: HostRegion, outputs: Int, stride: Int) -> [Int32] {
    [Int32](unsafeUninitializedCapacity: outputs) { sums, count in
      nonisolated(unsafe) let (start, sums) = (region.start, sums)
      parallel(outputs, grain: rowsPerPiece(stride)) { rows in
        for row in rows {
          let source = (start + row * stride).assumingMemoryBound(to: Int8.self)
          var sum: Int32 = 0
          for i in 0..<stride { sum &+= Int32(source[i]) }
          sums[row] = 128 * sum
        }
      }
      count = outputs
    }
  }
}

/// The nearest bf16, ties to even, as the processor's own conversion has it: denormal numbers become zero, NaN stays NaN.
@inline(__always)
func bfloat16(_ x: Float) -> UInt16 {
  let bits = x.bitPattern
  let magnitude = bits & 0x7FFF_FFFF
  let rounded = (bits &+ 0x7FFF &+ ((bits >> 16) & 1)) >> 16
  let special = bits >> 16 | (magnitude > 0x7F80_0000 ? 0x40 : 0)
  let short = magnitude >= 0x7F80_0000 ? special : magnitude < 0x0080_0000 ? bits >> 16 & 0x8000 : rounded
  return UInt16(truncatingIfNeeded: short)
}

/// For numbers whose largest magnitude has these bits: the factor that makes it 127, and the scale that undoes it. Both
/// are 0 where all numbers are practically zero; where one is not finite, the factor is 0 and the scale is NaN, so that
/// every sum of theirs is NaN too.
@inline(__always)
func byteScale(_ bits: UInt32) -> (factor: Float, scale: Float) {
  if bits >= 0x7F80_0000 { return (0, .nan) }
  let largest = Float(bitPattern: bits)
  return largest < 0x1p-119 ? (0, 0) : (127 / largest, largest / 127)
}
