// What an optimizer needs of an engine that can keep its gradients in bf16 and its moments in 8 bits. As with short weights
// (`ShortWeightTypes`), precision is part of the storage: `adamW` and `sumOfSquares` take tensors over such memory as they
// take others. An engine that does not conform has no such memory.

/// An engine whose optimizer steps work on short numbers.
public protocol ShortOptimizerOps: OptimizerOps {
  /// Memory that holds gradients or moments as they are. Only `addRounded`, `sumOfSquares`, `adamW` and `scalars` are for
  /// tensors over it.
  static func makeStorage(_ numbers: ShortNumbers, on device: Device) -> Storage
  /// The short numbers that memory holds; nil for memory in full.
  static func shortNumbers(of storage: Storage) -> ShortNumbers?
  /// sum ← bf16(sum + gradient), the sum in single precision, rounded to nearest even.
  ///
  /// - Parameters:
  ///   - gradient: what is added, in single precision.
  ///   - sum: in bf16; nil for 0.
  static func addRounded(_ gradient: Tensor<Self>, to sum: inout Tensor<Self>?)
}

extension ForwardingBackend where Base: ShortOptimizerOps {
  /// Forwards to the base.
  public static func makeStorage(_ numbers: ShortNumbers, on device: Device) -> Storage {
    Base.makeStorage(numbers, on: device)
  }

  /// Forwards to the base.
  public static func shortNumbers(of storage: Storage) -> ShortNumbers? { Base.shortNumbers(of: storage) }

  /// Forwards to the base.
  public static func addRounded(_ gradient: Tensor<Self>, to sum: inout Tensor<Self>?) {
    var other: Tensor<Base>? = sum.map { $0.rewrapped() }
    sum = nil
    Base.addRounded(gradient.rewrapped(), to: &other)
    sum = other?.rewrapped()
  }
}

extension MixedCPU: ShortOptimizerOps {}
