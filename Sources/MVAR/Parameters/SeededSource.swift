// Weights computed from their names, so that checks and timings need no file: FNV-1a of the name, a SplitMix64
// sequence, scaled by a rule that depends on the kind of parameter. `Fixtures/golden/README.md` has the definition.

import Dispatch
import Foundation
import TensorCore

/// The rule that computes a parameter from its checkpoint key.
public enum SeededWeights {
  /// FNV-1a, 64 bits, of the UTF-8 bytes.
  public static func hash(_ key: String) -> UInt64 {
    key.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
  }

  private static let goldenRatio: UInt64 = 0x9E37_79B9_7F4A_7C15
  private static let unitRange = [
    "class_emb.weight", "lvl_embed.weight", "pos_1LC", "pos_start", "quantize.embedding.weight",
  ]

  /// The center and half-width of the interval of a parameter's values.
  static func centerAndBound(_ key: String, _ shape: Shape) -> (center: Double, bound: Double) {
    if key.hasSuffix("scale_mul_1H11") { return (log(4.0), 0.1) }
    if unitRange.contains(where: key.hasSuffix) { return (0, 1) }
    if key.hasSuffix("ada_gss") { return (0, 0.5) }
    if shape.rank == 1 { return key.hasSuffix(".weight") ? (1, 0.1) : (0, 0.1) }
    return (0, (3 / Double(shape.dimensions.dropFirst().reduce(1, *))).squareRoot())
  }

  /// Element i of a sequence, 24 bits.
  @inline(__always)
  private static func word(_ i: Int, _ base: UInt64) -> UInt64 {
    var z = base &+ (UInt64(truncatingIfNeeded: i) &+ 1) &* goldenRatio
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return (z ^ (z >> 31)) >> 40
  }

  /// The beginning of the sequence of a name, as 24-bit integers; u = word/2²³ − 1.
  package static func words(_ name: String, count: Int, seed: UInt64) -> [UInt64] {
    let base = hash(name) ^ (seed &* goldenRatio)
    return (0..<count).map { word($0, base) }
  }

  /// All values of a parameter in row-major order, each rounded once to single precision.
  public static func values(_ key: String, shape: Shape, seed: UInt64) -> [Float] {
    let (center, bound) = centerAndBound(key, shape)
    return values(key, count: shape.count, seed: seed, center: center, bound: bound)
  }

  /// Values in an interval that the caller chooses: those of networks beside the two models.
  package static func values(_ key: String, count total: Int, seed: UInt64, center: Double, bound: Double) -> [Float] {
    let base = hash(key) ^ (seed &* goldenRatio)
    let grain = 1 << 16
    return [Float](unsafeUninitializedCapacity: total) { buffer, count in
      nonisolated(unsafe) let buffer = buffer
      DispatchQueue.concurrentPerform(iterations: (total + grain - 1) / grain) { piece in
        for i in piece * grain..<min((piece + 1) * grain, total) {
          let u = Double(word(i, base)) * 0x1p-23 - 1
          buffer[i] = Float(center + bound * u)
        }
      }
      count = total
    }
  }
}

/// Parameters computed from their names.
public struct SeededSource<B: Backend>: ParameterSource {
  private let seed: UInt64
  private let model: CheckpointNames.Model
  private let device: B.Device

  /// A source for one of the two models.
  public init(seed: UInt64, _ model: CheckpointNames.Model, on device: B.Device) {
    self.seed = seed
    self.model = model
    self.device = device
  }

  /// The value of a parameter.
  public func value(_ name: String, shape: Shape, initial: InitialValue) throws -> Tensor<B> {
    let values = SeededWeights.values(CheckpointNames.key(of: name, in: model), shape: shape, seed: seed)
    return try Tensor(B.Scalar.array(values), shape: shape, on: device)
  }

  /// The weight of a linear layer, as the device keeps it.
  public func linearWeight(_ name: String, shape: Shape, initial: InitialValue, role: WeightRole) throws -> Tensor<B> {
    let short = try shortWeight(shape, role, on: device) { format in
      let values = SeededWeights.values(CheckpointNames.key(of: name, in: model), shape: shape, seed: seed)
      return ShortWeight(rounding: values, outputs: shape[0], inputs: shape[1], to: format)
    }
    return try short ?? value(name, shape: shape, initial: initial)
  }
}
