// The contract of an engine: memory, and one protocol per family of operators.
//
// Every operator is a pair. Forward returns the output and, where the backward needs more than the inputs, what to save
// (`…Saved`). The backward, named `d` + the forward's name, takes the output's gradient and returns that of every
// input. No protocol has a default implementation, so an engine that lacks a gradient does not compile. Operators do
// not throw: a wrong shape is a programming error and stops with the operator's name and the shapes.

/// An engine: every operator that the model consists of, forward and backward.
public typealias Backend = LinearAlgebraOps & ElementwiseOps & NormalizationOps & AttentionOps & ConvolutionOps
  & ResamplingOps & CodebookOps & LossOps & OptimizerOps & SamplingOps & RecordingOps

/// The memory of an engine.
public protocol BackendTypes: Sendable {
  /// The type of number it computes with.
  associatedtype Scalar: TensorScalar
  /// A block of numbers.
  associatedtype Storage: Sendable
  /// A block of 32-bit integers.
  associatedtype IndexStorage: Sendable
  /// What holds memory and runs operators; every tensor refers to it.
  associatedtype Device: Sendable

  /// Memory filled with the given values.
  static func makeStorage(_ values: [Scalar], on device: Device) throws -> Storage
  /// Memory filled with one value.
  static func makeStorage(repeating value: Scalar, count: Int, on device: Device) -> Storage
  /// Memory holding the little-endian values of a region, used in place where the engine can: parameters of a mapped
  /// checkpoint then cost nothing until they are accessed.
  ///
  /// - Precondition: the region holds an integral number of `Scalar`s.
  static func makeStorage(borrowing region: HostRegion, on device: Device) throws -> Storage
  /// Memory filled with the given integers.
  static func makeIndices(_ values: [Int32], on device: Device) throws -> IndexStorage
  /// All values, copied to an array.
  static func scalars(_ storage: Storage) throws -> [Scalar]
  /// All integers, copied to an array.
  static func indices(_ storage: IndexStorage) throws -> [Int32]
  /// Part of the memory, shared.
  static func slice(_ storage: Storage, _ range: Range<Int>) -> Storage
  /// The device that holds the memory.
  static func device(of storage: Storage) -> Device
}

/// The only device of the engines that run in this process.
public struct HostDevice: Hashable, Sendable {
  /// How `CPU<Float>` keeps the weights of linear layers that are loaded to this device, which decides how it multiplies
  /// by them. The other engines of this process keep all weights as they are.
  public let weights: WeightFormat

  /// This machine's processors and memory.
  ///
  /// - Parameter weights: how weights of linear layers are kept; single precision unless asked for.
  public init(weights: WeightFormat = .float32) { self.weights = weights }
}
