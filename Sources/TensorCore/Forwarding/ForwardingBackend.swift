// An engine built on another one: it has every operator of its base, and its author writes only those that should
// differ. The protocols of the contract have no default implementations, so that no engine can omit a gradient; this
// protocol is the exception, for adding a kernel or two.
//
// Memory is the base's, and tensors change engine by being rewrapped (`rewrapped`); nothing is copied. An operator and
// its backward belong together: replacing a forward with a different result requires replacing its backward.

/// An engine that forwards operators to another one unless it has its own.
///
/// A function replaces an operator only if its name, labels and types are exactly the operator's; Swift accepts others
/// as further functions, which nothing calls. So a test of a kernel should also check that the kernel ran.
///
/// This engine computes attention within windows itself and everything else as `CPU<Float>` does; a model runs on it as
/// on any other engine, `MarkovianTransformer<MyEngine>`:
///
///     enum MyEngine: ForwardingBackend {
///       typealias Base = CPU<Float>
///
///       static func neighborhoodAttention(_ heads: Heads<MyEngine>, window: Int, softmaxScale: Float)
///         -> (output: Tensor<MyEngine>, saved: AttentionSaved<MyEngine>)
///       {
///         // A kernel on `heads.queries.withUnsafeBufferPointer { … }`.
///       }
///     }
public protocol ForwardingBackend: Backend
where
  Scalar == Base.Scalar, Storage == Base.Storage, IndexStorage == Base.IndexStorage, Device == Base.Device,
  Recorder == Base.Recorder, RecordedWork == Base.RecordedWork
{
  /// The engine that computes what this one does not.
  associatedtype Base: Backend
}

// MARK: Memory

extension ForwardingBackend {
  /// Forwards to the base.
  public static func makeStorage(_ values: [Scalar], on device: Device) throws -> Storage {
    try Base.makeStorage(values, on: device)
  }

  /// Forwards to the base.
  public static func makeStorage(repeating value: Scalar, count: Int, on device: Device) -> Storage {
    Base.makeStorage(repeating: value, count: count, on: device)
  }

  /// Forwards to the base.
  public static func makeStorage(borrowing region: HostRegion, on device: Device) throws -> Storage {
    try Base.makeStorage(borrowing: region, on: device)
  }

  /// Forwards to the base.
  public static func makeIndices(_ values: [Int32], on device: Device) throws -> IndexStorage {
    try Base.makeIndices(values, on: device)
  }

  /// Forwards to the base.
  public static func scalars(_ storage: Storage) throws -> [Scalar] { try Base.scalars(storage) }

  /// Forwards to the base.
  public static func indices(_ storage: IndexStorage) throws -> [Int32] { try Base.indices(storage) }

  /// Forwards to the base.
  public static func slice(_ storage: Storage, _ range: Range<Int>) -> Storage { Base.slice(storage, range) }

  /// Forwards to the base.
  public static func device(of storage: Storage) -> Device { Base.device(of: storage) }
}

// MARK: Recording

extension ForwardingBackend {
  /// Forwards to the base.
  public static func makeRecorder(on device: Device) -> Recorder? { Base.makeRecorder(on: device) }

  /// Forwards to the base.
  public static func record(with recorder: Recorder, _ work: () throws -> Void) rethrows -> RecordedWork {
    try Base.record(with: recorder, work)
  }

  /// Forwards to the base.
  public static func perform(_ work: RecordedWork, on input: Tensor<Self>, at place: Tensor<Self>) {
    Base.perform(work, on: input.rewrapped(), at: place.rewrapped())
  }
}

// MARK: Optimizer

extension ForwardingBackend {
  /// Forwards to the base.
  public static func sumOfSquares(_ x: Tensor<Self>) -> Double { Base.sumOfSquares(x.rewrapped()) }

  /// Forwards to the base.
  public static func sumsOfSquares(_ tensors: [Tensor<Self>]) throws -> [Double] {
    try Base.sumsOfSquares(tensors.map { $0.rewrapped() })
  }

  /// Forwards to the base.
  public static func adamW(
    _ parameter: inout Tensor<Self>, gradient: Tensor<Self>, firstMoment: inout Tensor<Self>,
    secondMoment: inout Tensor<Self>, _ settings: AdamWSettings
  ) {
    let gradient: Tensor<Base> = gradient.rewrapped()
    parameter.withRewrapped { (parameter: inout Tensor<Base>) in
      firstMoment.withRewrapped { (first: inout Tensor<Base>) in
        secondMoment.withRewrapped { (second: inout Tensor<Base>) in
          Base.adamW(&parameter, gradient: gradient, firstMoment: &first, secondMoment: &second, settings)
        }
      }
    }
  }
}

extension ForwardingBackend where Device == HostDevice {
  /// Σx² of each tensor; in this process's memory there is nothing to transfer.
  public static func sumsOfSquares(_ tensors: [Tensor<Self>]) -> [Double] { tensors.map { sumOfSquares($0) } }
}

// MARK: Sampling

extension ForwardingBackend {
  /// Forwards to the base.
  public static func guide(_ logits: Tensor<Self>, strength: Scalar) -> Tensor<Self> {
    Base.guide(logits.rewrapped(), strength: strength).rewrapped()
  }

  /// Forwards to the base.
  public static func filterLogits(_ logits: consuming Tensor<Self>, topK: Int, topP: Double) -> Tensor<Self> {
    Base.filterLogits(logits.rewrapped(), topK: topK, topP: topP).rewrapped()
  }

  /// Forwards to the base.
  public static func sampleTokens(_ logits: Tensor<Self>, streams: [RandomStream], firstPosition: Int) -> Indices<Self>
  {
    Base.sampleTokens(logits.rewrapped(), streams: streams, firstPosition: firstPosition).rewrapped()
  }

  /// Forwards to the base.
  public static func gumbelSoftmax(
    _ logits: consuming Tensor<Self>, factor: Scalar, temperature: Scalar, streams: [RandomStream], firstPosition: Int
  ) -> Tensor<Self> {
    Base.gumbelSoftmax(
      logits.rewrapped(), factor: factor, temperature: temperature, streams: streams, firstPosition: firstPosition
    ).rewrapped()
  }
}
