// An engine as cases see it: generic code that has every operator at hand, and a place to put tensors.

import TensorCore

/// An engine with every operator, and a device to test it on.
package protocol TestedBackend: LinearAlgebraOps, ElementwiseOps, NormalizationOps, AttentionOps, ConvolutionOps,
  ResamplingOps, CodebookOps, LossOps, OptimizerOps, SamplingOps, RecordingOps
{
  /// Where tests put their tensors.
  static var testDevice: Device { get }
}

/// An engine with every operator whose memory is this process's.
package protocol HostBackend: TestedBackend where Device == HostDevice {}

extension HostBackend {
  /// This machine.
  package static var testDevice: HostDevice { HostDevice() }
}

extension Reference: HostBackend {}
extension CPU: HostBackend {}
