// The engines under test, in one place: add an engine here and every golden, finite-difference and twin test runs on it.
//
// Tests are generic over `HostBackend`, the whole contract in this process's memory. A test gets its engines from one
// of the lists, and the compiler opens the metatype at the call.

@_exported import OperatorCases
import TensorCore
import Testing

/// An engine with every operator, whose memory is this process's.
package protocol HostBackend: LinearAlgebraOps, ElementwiseOps, NormalizationOps, AttentionOps, ConvolutionOps,
  ResamplingOps, CodebookOps, LossOps, OptimizerOps, SamplingOps, RecordingOps
where Device == HostDevice {}

extension Reference: HostBackend {}
extension CPU: HostBackend {}

extension Values {
  /// The values in this process's memory.
  package func tensor<B: HostBackend>(_ engine: B.Type) throws -> Tensor<B> { try tensor(engine, on: HostDevice()) }
}

/// An engine in a list of test arguments.
package struct Engine: CustomTestStringConvertible, Sendable {
  /// Its name in reports.
  package let testDescription: String
  /// The engine.
  package let type: any HostBackend.Type

  package init(_ type: any HostBackend.Type) {
    testDescription = "\(type)"
    self.type = type
  }

  /// Every engine and precision.
  package static let all = single + double
  /// Single precision: judged against `Reference<Double>` by the error that `Reference<Float>` makes.
  package static let single = [Engine(Reference<Float>.self), Engine(CPU<Float>.self)]
  /// Double precision: precise enough for finite differences.
  package static let double = [Engine(Reference<Double>.self), Engine(CPU<Double>.self)]
}
