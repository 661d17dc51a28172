// AdamW with gradients or moments in short numbers: one pass over parameter, gradient and moments, a block of 256
// elements at a time, which is widened, updated in single precision as `CPU+Optimizer.swift` does it, and rounded. The
// parameter's own step uses the moments before they are rounded.

import Foundation

extension CPU: ShortOptimizerOps where Scalar == Float {
  /// Memory that holds the numbers.
  public static func makeStorage(_ numbers: ShortNumbers, on device: HostDevice) -> HostBuffer<Float> {
    HostBuffer(numbers)
  }

  /// The numbers that memory holds.
  public static func shortNumbers(of storage: HostBuffer<Float>) -> ShortNumbers? { storage.state }

  /// sum ← bf16(sum + gradient)
  public static func addRounded(_ gradient: Tensor<CPU>, to sum: inout Tensor<CPU>?) {
    let count = gradient.shape.count
    precondition(
      sum.map { $0.shape == gradient.shape && $0.storage.state?.code == .bf16 } ?? true,
      "addRounded: gradient \(gradient.shape), sum \(sum.map { "\($0.shape)" } ?? "none")")
    var old: ShortNumbers?
    if var shared = sum, let short = shared.storage.state {
      sum = nil  // so that the memory can be changed in place
      old = isKnownUniquelyReferenced(&shared.storage) ? short : short.copied
    }
    let isFirst = old == nil
    let new = old ?? ShortNumbers(uninitialized: .bf16, count: count)
    withExtendedLifetime((gradient.storage, new.memory)) {
      let g = UnsafePointer(gradient.storage.start)
      let codes = new.start.assumingMemoryBound(to: UInt16.self)
      parallel(count, grain: serialLimit) { range in
        if isFirst {
          for i in range { codes[i] = bfloat16(g[i]) }
        } else {
          for i in range { codes[i] = bfloat16(Float(bitPattern: UInt32(codes[i]) << 16) + g[i]) }
        }
      }
    }
    sum = Tensor(shape: gradient.shape, storage: HostBuffer(new))
  }
}

/// One step of AdamW on memory in single precision or in short numbers.
struct ShortAdamW {
  let parameter: UnsafeMutablePointer<Float>
  let gradient: HostBuffer<Float>
  let firstMoment: HostBuffer<Float>
  let secondMoment: HostBuffer<Float>
  let count: Int
  /// The numbers of the step.
  let factor, beta1, beta2, rest1, rest2, kept, rate, spread, epsilon: Float
  /// What the random numbers of this step follow from.
  let key: UInt32

  private static let block = ShortNumbers.blockLength

  func run() {
    withExtendedLifetime((gradient, firstMoment, secondMoment)) {
      // Whole blocks, so that each has one thread.
      parallel(count, grain: serialLimit / Self.block * Self.block) { range in
        withUnsafeTemporaryAllocation(of: Float.self, capacity: 4 * Self.block) { scratch in
          guard let scratch = scratch.baseAddress else { return }
          for first in stride(from: range.lowerBound, to: range.upperBound, by: Self.block) {
            update(first, min(Self.block, range.upperBound - first), scratch)
          }
        }
      }
    }
  }

  @inline(__always)
  private func update(_ first: Int, _ length: Int, _ scratch: UnsafeMutablePointer<Float>) {
    let g = widened(gradient, first, length, scratch)
    let m = widened(firstMoment, first, length, scratch + Self.block)
    let v = widened(secondMoment, first, length, scratch + 2 * Self.block)
    let w = parameter + first
    for i in 0..<length {
      let gradient = g[i] * factor
      let first = m[i] * beta1 + gradient * rest1
      let second = v[i] * beta2 + gradient * gradient * rest2
      m[i] = first
      v[i] = second
      w[i] = w[i] * kept - first * rate / (second.squareRoot() * spread + epsilon)
    }
    guard let first8 = firstMoment.state, let second8 = secondMoment.state else { return }
    let random = UnsafeMutableRawPointer(scratch + 3 * Self.block).assumingMemoryBound(to: UInt32.self)
    ShortCode.putRandom(key, first, random, length)
    let (firstCodes, secondCodes) = (
      first8.start.assumingMemoryBound(to: UInt8.self) + first,
      second8.start.assumingMemoryBound(to: UInt8.self) + first
    )
    first8.scaleStart[first / Self.block] = ShortCode.putFirst(m, random, firstCodes, length)
    second8.scaleStart[first / Self.block] = ShortCode.putSecond(v, random, secondCodes, length)
  }

  /// The elements of a block: those in memory, or widened in scratch memory.
  @inline(__always)
  private func widened(
    _ buffer: HostBuffer<Float>, _ first: Int, _ length: Int, _ scratch: UnsafeMutablePointer<Float>
  ) -> UnsafeMutablePointer<Float> {
    guard let short = buffer.state else { return buffer.start + first }
    short.widen(first..<first + length, to: scratch)
    return scratch
  }
}
