// Weights of linear layers on their way to an engine that can keep them in short numbers. Sources call this first, and give
// the value in full where it gives nil: the engine cannot, or its device does not ask for it. In a file, a weight in bytes
// has its scales beside it, under its own key and `_scale`.

import MVARCheckpoints
import MVARFiles
import TensorCore

extension ParameterSource {
  /// The weight as the device keeps it; nil where that is single precision.
  ///
  /// - Parameters:
  ///   - shape: [O, I]
  ///   - role: how much it may be rounded.
  ///   - device: where it goes.
  ///   - make: the weight in the format that it is called with.
  func shortWeight(
    _ shape: Shape, _ role: WeightRole, on device: B.Device, _ make: (WeightFormat) throws -> ShortWeight
  ) throws -> Tensor<B>? {
    guard let engine = B.self as? any ShortWeightTypes.Type else { return nil }
    return try shortWeight(on: engine, shape, role, device, make)
  }

  private func shortWeight<E: ShortWeightTypes>(
    on engine: E.Type, _ shape: Shape, _ role: WeightRole, _ device: B.Device,
    _ make: (WeightFormat) throws -> ShortWeight
  ) throws -> Tensor<B>? {
    // E is B, which the compiler cannot see.
    guard let device = device as? E.Device else { return nil }
    let format = E.weightFormat(of: role, on: device)
    // A byte product's sum must fit 32 bits.
    guard format != .float32, format != .int8 || shape[1] <= ShortWeight.mostInputs else { return nil }
    return try (E.makeStorage(make(format), on: device) as? B.Storage).map { Tensor(shape: shape, storage: $0) }
  }
}

extension CheckpointWeights {
  /// The key of the weight in bytes whose scales another key holds; nil for any other key.
  package func scaledWeight(_ key: String) -> String? {
    guard key.hasSuffix(CheckpointNames.scaleSuffix) else { return nil }
    let weight = String(key.dropLast(CheckpointNames.scaleSuffix.count))
    return self[weight]?.scalarType == .int8 ? weight : nil
  }

  /// Why a tensor of integers is no parameter of this shape; nil for floats, and for a linear layer's weight in bytes with
  /// a scale for each row.
  package func problem(withIntegers key: String, _ shape: Shape) -> String? {
    guard let type = self[key]?.scalarType, !type.isFloatingPoint else { return nil }
    guard CheckpointNames.roleOfLinearWeight(key) != nil, type == .int8, shape.rank == 2 else {
      return "\(key): holds \(type) numbers"
    }
    do {
      _ = try scales(of: key, rows: shape[0])
      return nil
    } catch {
      return (error as? FileError)?.reason ?? "\(error)"
    }
  }

  /// The scales of a weight in bytes.
  ///
  /// - Throws: `FileError` when they are missing or not one number for each row.
  func scales(of key: String, rows: Int) throws -> [Float] {
    let name = key + CheckpointNames.scaleSuffix
    guard let scales = self[name] else {
      throw FileError(path, "\(key) holds int8 numbers, but \(name), their scales, is missing")
    }
    guard scales.shape == [rows], scales.scalarType.isFloatingPoint else {
      throw FileError(path, "\(name) must be \(rows) floating-point numbers, one for each row of \(key)")
    }
    return try scales.floats()
  }

  /// A linear layer's weight in short numbers, as a file holds it: the tensor, and for bytes its scales.
  ///
  /// - Throws: `FileError` when it cannot be read, or holds integers without scales.
  package func shortened(_ key: String, _ stored: StoredTensor, to format: WeightFormat) throws -> [(
    name: String, tensor: StoredTensor
  )] {
    let (rows, columns) = (stored.shape[0], stored.shape[1])
    let values = try numbers(key, stored)
    guard columns <= ShortWeight.mostInputs || format == .bf16 else {
      throw FileError(
        path, "\(key) has rows of \(columns) numbers; int8 is for rows of up to \(ShortWeight.mostInputs)")
    }
    let short = ShortWeight(rounding: values, outputs: rows, inputs: columns, to: format)
    let weight = try StoredTensor(
      scalarType: format == .bf16 ? .bfloat16 : .int8, shape: stored.shape, bytes: short.bytes)
    guard format == .int8 else { return [(key, weight)] }
    return [(key, weight), (key + CheckpointNames.scaleSuffix, try StoredTensor(short.scales, shape: [rows]))]
  }

  /// A linear layer's weight in full: bytes times their scales.
  ///
  /// - Throws: `FileError` when it cannot be read, or holds integers without scales.
  func numbers(_ key: String, _ stored: StoredTensor) throws -> [Float] {
    var values = try stored.floats()
    guard stored.scalarType == .int8 else { return values }
    let (rows, columns) = (stored.shape[0], stored.shape[1])
    for (row, scale) in try scales(of: key, rows: rows).enumerated() {
      for i in row * columns..<(row + 1) * columns { values[i] *= scale }
    }
    return values
  }
}

extension CheckpointNames {
  /// What follows the key of a weight in bytes in the key of its scales, one for each row.
  public static let scaleSuffix = "_scale"

  /// The role of the linear layer whose weight has this key in a transformer's checkpoint; nil for everything else.
  package static func roleOfLinearWeight(_ key: String) -> WeightRole? {
    if [".attn.mat_qkv.weight", ".attn.proj.weight", ".ffn.fc1.weight", ".ffn.fc2.weight"].contains(
      where: key.hasSuffix)
    {
      return .inner
    }
    return ["word_embed.weight", "head.weight"].contains(key) || key.hasSuffix("ada_lin.1.weight") ? .outer : nil
  }
}
