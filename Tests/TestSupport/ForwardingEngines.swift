// Engines as another package would write them: one that forwards everything, one with its own kernel.

import OperatorCases
import Synchronization
import TensorCore

/// `CPU<Float>` under another name.
package enum ForwardedCPU: ForwardingBackend {
  package typealias Base = CPU<Float>
}

extension ForwardedCPU: HostBackend {}

/// `CPU<Float>` with its own windowed attention, which counts its calls.
package enum CountingCPU: ForwardingBackend {
  package typealias Base = CPU<Float>

  /// How often windowed attention was computed here.
  package static let calls = Atomic<Int>(0)

  package static func neighborhoodAttention(_ heads: Heads<CountingCPU>, window: Int, softmaxScale: Float)
    -> (output: Tensor<CountingCPU>, saved: AttentionSaved<CountingCPU>)
  {
    calls.add(1, ordering: .relaxed)
    let (output, saved) = Base.neighborhoodAttention(heads.rewrapped(), window: window, softmaxScale: softmaxScale)
    return (output.rewrapped(), saved.rewrapped())
  }
}
