// How an optimizer keeps gradients and moments between two steps, and the one place that decides for which tensors: large
// ones, since vectors take no memory to speak of and move all channels at once.

import MVAR
import TensorCore

/// In which numbers an optimizer keeps what it needs for a step.
public struct OptimizerStorage: Hashable, Sendable {
  /// The gradients of micro-batches.
  public var gradients: GradientFormat
  /// Both moments.
  public var moments: MomentFormat

  /// Single precision unless others are given.
  public init(gradients: GradientFormat = .float32, moments: MomentFormat = .float32) {
    self.gradients = gradients
    self.moments = moments
  }

  /// The fewest elements of a tensor whose gradients or moments are kept in short numbers; it has two axes or more.
  public static let fewestElements = 4096

  /// Whether gradients and moments of a parameter of this shape may be kept in short numbers.
  public static func canShorten(_ shape: Shape) -> Bool { shape.rank > 1 && shape.count >= fewestElements }

  /// Bytes of a parameter's gradient between two steps.
  public var gradientBytes: Double { gradients == .float32 ? 4 : 2 }

  /// Bytes of a parameter's two moments.
  public var momentBytes: Double { moments == .float32 ? 8 : 2 * (1 + 4 / Double(ShortNumbers.blockLength)) }

  /// Refuses short numbers for an engine that has no memory for them.
  ///
  /// - Throws: `ConfigurationError`.
  public func check<B: Backend>(on engine: B.Type) throws {
    guard self == OptimizerStorage() || engine is any ShortOptimizerOps.Type else {
      throw ConfigurationError("gradients in bf16 and moments in int8 are for the cpu engine in single precision")
    }
  }
}

/// What an engine does with short numbers, for code that knows it only as a `Backend`.
enum ShortState<B: Backend> {
  /// A tensor over short numbers; nil for an engine that has none.
  static func tensor(_ numbers: ShortNumbers, shape: Shape, on device: B.Device) -> Tensor<B>? {
    func make<E: ShortOptimizerOps>(_ engine: E.Type) -> B.Storage? {
      // E is B, which the compiler cannot see.
      (device as? E.Device).flatMap { E.makeStorage(numbers, on: $0) as? B.Storage }
    }
    guard let engine = B.self as? any ShortOptimizerOps.Type else { return nil }
    return make(engine).map { Tensor(shape: shape, storage: $0) }
  }

  /// The short numbers of a tensor; nil where it is in full.
  static func numbers(of tensor: Tensor<B>) -> ShortNumbers? {
    func find<E: ShortOptimizerOps>(_ engine: E.Type) -> ShortNumbers? {
      (tensor.storage as? E.Storage).flatMap { E.shortNumbers(of: $0) }
    }
    guard let engine = B.self as? any ShortOptimizerOps.Type else { return nil }
    return find(engine)
  }

  /// sum ← bf16(sum + gradient)
  static func addRounded(_ gradient: Tensor<B>, to sum: inout Tensor<B>?) {
    func add<E: ShortOptimizerOps>(_ engine: E.Type) {
      guard let gradient = gradient as? Tensor<E> else { return }
      var other = sum as? Tensor<E>
      sum = nil  // so that the memory can be changed in place
      E.addRounded(gradient, to: &other)
      sum = other as? Tensor<B>
    }
    if let engine = B.self as? any ShortOptimizerOps.Type { add(engine) }
  }
}
