// Parameters read from a checkpoint, strictly: missing names, wrong shapes and unexpected names are all listed. 32-bit
// floats are used in place in the mapped file, and so are short numbers where the device keeps them; anything else is
// converted once.

import MVARCheckpoints
import MVARFiles
import TensorCore

/// The weights found in a checkpoint file, by their PyTorch keys.
public struct CheckpointWeights: Sendable {
  /// The file.
  public let path: String
  /// The wrapper the weights were under; empty for a bare state dictionary.
  public let wrapper: String
  /// The weights in the order of the file.
  public let tensors: [(name: String, tensor: StoredTensor)]
  /// What has a name in the model and is not read, in the order of the file.
  public let skipped: [(name: String, object: SkippedObject)]
  /// The metadata of a safetensors file.
  public let metadata: [String: String]

  /// The place of each name; nil for a name that several tensors have.
  private let indices: [ExactText: Int?]
  /// What has a name in the model and is no tensor, in words.
  private let others: [(name: String, kind: String)]

  /// Finds the weights of a model in a file.
  ///
  /// - Parameters:
  ///   - path: the file.
  ///   - model: whose weights are wanted.
  ///   - choice: which weights, if the file holds several that fit.
  /// - Throws: `FileError` when the file cannot be read or holds no such model.
  public init(path: String, _ model: CheckpointNames.Model, _ choice: WeightsChoice = WeightsChoice()) throws {
    try self.init(Checkpoint.open(path), model, choice)
  }

  /// Finds the weights of a model in an open file.
  ///
  /// - Throws: `FileError` when the file holds no such model.
  public init(_ checkpoint: Checkpoint, _ model: CheckpointNames.Model, _ choice: WeightsChoice = WeightsChoice())
    throws
  {
    try self.init(checkpoint, checkpoint.weights(containing: CheckpointNames.mark(of: model), choice))
  }

  /// The weights of a set that was found.
  package init(_ checkpoint: Checkpoint, _ found: Checkpoint.Weights) throws {
    path = checkpoint.path
    wrapper = found.prefix
    tensors = found.tensors
    skipped = found.skipped
    others = found.others
    indices = Dictionary(
      found.tensors.enumerated().map { (ExactText($0.element.name), $0.offset) }, uniquingKeysWith: { _, _ in nil })
    metadata = checkpoint.metadata
  }

  /// Whether a file holds weights of a model, be it one set of them or several.
  ///
  /// - Throws: `FileError` when the file cannot be read.
  public static func exist(of model: CheckpointNames.Model, in path: String) throws -> Bool {
    try !Checkpoint.open(path).sets(containing: [CheckpointNames.mark(of: model)]).isEmpty
  }

  /// The tensor with a key, if there is one.
  public subscript(key: String) -> StoredTensor? { indices[ExactText(key)]?.map { tensors[$0].tensor } }

  /// Why a key has no tensor: it is missing, several have it, or it is something that is not read.
  func absence(of key: String) -> FileError {
    if indices[ExactText(key)] != nil { return FileError(path, "\(key) is the name of several tensors") }
    if let other = others.first(where: { $0.name.isExactly(key) }) {
      return FileError(path, "\(key) is \(other.kind), not a tensor")
    }
    let object = skipped.first { $0.name.isExactly(key) }?.object
    return FileError(path, object.map { "\(key) is \($0.reason)" } ?? "\(key) is missing")
  }

  /// Names that no parameter of a model requested, except buffers.
  func unexpected(besides names: [String], in model: CheckpointNames.Model) -> [String] {
    let known = Set(names.map { ExactText(CheckpointNames.key(of: $0, in: model)) })
    // Integers beside the weights, such as the state of a random number generator, are no parameters.
    let candidates = tensors.filter { $0.tensor.scalarType.isFloatingPoint || CheckpointNames.isParameter($0.name) }
    return (candidates.map(\.name) + skipped.filter(\.object.isTensor).map(\.name)).filter {
      !known.contains(ExactText($0)) && !CheckpointNames.isDerived($0)
    }
  }
}

/// Parameters read from a checkpoint.
public struct CheckpointSource<B: Backend>: ParameterSource {
  private let weights: CheckpointWeights
  private let model: CheckpointNames.Model
  private let device: B.Device

  /// A source for one of the two models.
  public init(_ weights: CheckpointWeights, _ model: CheckpointNames.Model, on device: B.Device) {
    self.weights = weights
    self.model = model
    self.device = device
  }

  /// The value of a parameter.
  ///
  /// - Throws: `FileError` when it is missing, has another shape, or holds integers.
  public func value(_ name: String, shape: Shape, initial: InitialValue) throws -> Tensor<B> {
    let (key, stored) = try stored(name, shape)
    guard stored.scalarType.isFloatingPoint else {
      throw FileError(weights.path, "\(key) holds \(stored.scalarType.rawValue) numbers, not floats")
    }
    if stored.scalarType == .float32, B.Scalar.self == Float.self, let region = try Self.region(of: stored) {
      return Tensor(shape: shape, storage: try B.makeStorage(borrowing: region, on: device))
    }
    if stored.scalarType == .float64 {
      return try Tensor(try stored.doubles().map { B.Scalar($0) }, shape: shape, on: device)
    }
    return try Tensor(B.Scalar.array(try stored.floats()), shape: shape, on: device)
  }

  /// The weight of a linear layer, as the device keeps it: short numbers of the file in place where these are the ones.
  ///
  /// - Throws: `FileError` when it is missing, has another shape, or holds integers without scales.
  public func linearWeight(_ name: String, shape: Shape, initial: InitialValue, role: WeightRole) throws -> Tensor<B> {
    let (key, stored) = try stored(name, shape)
    let (outputs, inputs) = (shape[0], shape[1])
    let short = try shortWeight(shape, role, on: device) { format in
      if stored.scalarType == (format == .bf16 ? .bfloat16 : .int8), let region = try Self.region(of: stored) {
        let scales = format == .int8 ? try weights.scales(of: key, rows: outputs) : []
        return ShortWeight(stored: region, outputs: outputs, inputs: inputs, format: format, scales: scales)
      }
      return ShortWeight(rounding: try weights.numbers(key, stored), outputs: outputs, inputs: inputs, to: format)
    }
    if let short { return short }
    guard stored.scalarType == .int8 else { return try value(name, shape: shape, initial: initial) }
    return try Tensor(B.Scalar.array(weights.numbers(key, stored)), shape: shape, on: device)
  }

  /// The tensor of a parameter, which has its shape.
  private func stored(_ name: String, _ shape: Shape) throws -> (key: String, tensor: StoredTensor) {
    let key = CheckpointNames.key(of: name, in: model)
    guard let stored = weights[key] else { throw weights.absence(of: key) }
    guard stored.shape == shape.dimensions else {
      throw FileError(weights.path, "\(key) has shape \(stored.shape), the model needs \(shape)")
    }
    return (key, stored)
  }

  /// The mapped bytes of a contiguous tensor.
  private static func region(of stored: StoredTensor) throws -> HostRegion? {
    guard let (file, offset, count) = stored.contiguousBytes(), count > 0 else { return nil }
    return try file.withBytes(in: offset..<offset + count) { bytes in
      bytes.baseAddress.map { HostRegion(owner: file, start: $0, byteCount: count) }
    }
  }
}
