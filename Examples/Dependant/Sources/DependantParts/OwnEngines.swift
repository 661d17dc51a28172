// An engine of one's own: SiLU and its gradient are computed here, everything else by `CPU<Float>`. Beside it the same engine
// with a fault, which the cases of the operator must find.

import Foundation
import MVARComparison
import OperatorCases
import TensorCore

/// `CPU<Float>` with a SiLU of its own: x·σ(x).
public enum OwnEngine: ForwardingBackend {
  /// What computes everything else.
  public typealias Base = CPU<Float>

  /// x·σ(x)
  public static func silu(_ x: consuming Tensor<OwnEngine>) -> Tensor<OwnEngine> {
    computed(from: x) { x, _ in x * sigmoid(x) }
  }

  /// dY·σ(x)·(1 + x·σ(−x))
  public static func dSilu(_ dOutput: Tensor<OwnEngine>, x: Tensor<OwnEngine>) -> Tensor<OwnEngine> {
    computed(from: x, dOutput) { x, dY in dY * sigmoid(x) * (1 + x * sigmoid(-x)) }
  }
}

/// The same, but its gradient is that of x·σ taken for a constant σ.
public enum FaultyEngine: ForwardingBackend {
  /// What computes everything else.
  public typealias Base = CPU<Float>

  /// dY·σ(x), which is wrong.
  public static func dSilu(_ dOutput: Tensor<FaultyEngine>, x: Tensor<FaultyEngine>) -> Tensor<FaultyEngine> {
    computed(from: x, dOutput) { x, dY in dY * sigmoid(x) }
  }
}

/// 1/(1 + e^(−x))
private func sigmoid(_ x: Float) -> Float { 1 / (1 + exp(-x)) }

/// A tensor computed element by element from one or two.
private func computed<B: ForwardingBackend>(
  from x: Tensor<B>, _ y: Tensor<B>? = nil, _ element: (Float, Float) -> Float
) -> Tensor<B> where B.Base == CPU<Float> {
  let y = y ?? x
  return Tensor(unsafeUninitializedShape: x.shape, on: x.device) { output in
    x.withUnsafeBufferPointer { x in
      y.withUnsafeBufferPointer { y in
        for i in x.indices { output[i] = element(x[i], y[i]) }
      }
    }
  }
}

/// What the cases of one operator find wrong with an engine.
public func findings<B: Backend>(
  _ operatorName: String, on engine: B.Type, device: B.Device
) throws -> (cases: Int, findings: [Comparison]) {
  let cases = OperatorCases.all.filter { $0.operatorName == operatorName }
  return (cases.count, try cases.flatMap { try $0.findings(on: engine, device: device) })
}
