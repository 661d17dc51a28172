// Several operators in a row, as engines meet them in a model: vectors of a modulation that are parts of a larger tensor,
// and operators on one sample of a batch, whose memory begins where no vector of numbers begins.
//
// These check engines. No kernel computes them by itself.

import TensorCore

/// x + gain·AdaLN(x) with vectors that are parts of six, or AdaLN(x) with parts of two; inputs x [B, N, C], the vectors
/// [B, 6, C] or [B, 2, C] and, if all blocks share them, the block's offset [6, C].
package struct ModulationCase: OperatorCase {
  package let operatorName = "modulation"
  package let name: String
  package let inputs: [Values]
  package var inputNames: [String] { ["x", "vectors", "offset"].dropLast(3 - inputs.count) }
  private var count: Int { inputs[1].shape[1] }

  package func apply<B: Backend>(_ x: OperatorInputs<B>) throws -> OperatorOutcome<B> {
    let vectors = x.count > 2 ? B.addRows(x[1], rows: x[2]) : x[1]
    let shape: Shape = [x[0].shape[0], x[0].shape[2]]
    func part(_ place: Int) -> Tensor<B> { B.slice(vectors, axis: 1, place..<place + 1).reshaped(shape) }
    func gradient(_ d: Tensor<B>, _ place: Int) -> Tensor<B> {
      B.dSlice(d.reshaped([shape[0], 1, shape[1]]), shape: vectors.shape, axis: 1, place..<place + 1)
    }
    func sum(_ a: Tensor<B>, _ b: Tensor<B>) -> Tensor<B> { B.combine(a, times: 1, b, times: 1) }
    let (scaleAt, shiftAt) = count == 6 ? (2, 4) : (0, 1)
    let (scale, shift) = (part(scaleAt), part(shiftAt))
    let (branch, saved) = B.adaptiveLayerNorm(x[0], scale: scale, shift: shift, epsilon: B.Scalar(1e-6))
    let gain = count == 6 ? part(0) : nil
    let output = gain.map { B.gatedResidual(x[0], branch: branch, gain: $0, keep: nil) } ?? branch
    return OperatorOutcome([output]) { dy in
      let residual = gain.map { B.dGatedResidual(dy[0], branch: branch, gain: $0, keep: nil) }
      let d = B.dAdaptiveLayerNorm(residual?.branch ?? dy[0], scale: scale, saved)
      var dVectors = sum(gradient(d.scale, scaleAt), gradient(d.shift, shiftAt))
      if let residual { dVectors = sum(dVectors, gradient(residual.gain, 0)) }
      return [residual == nil ? d.x : sum(dy[0], d.x), dVectors] + (x.count > 2 ? [B.dAddRows(dVectors)] : [])
    }
  }

  /// The norm, the gain and the offset, as if they were one operator.
  package var cost: OperatorCost {
    let (x, given) = (inputs[0].shape.count, inputs.reduce(0) { $0 + $1.shape.count })
    return OperatorCost(
      count: x, operations: (12, 16), forward: (given, x), backward: (2 * x + inputs[1].shape.count, given))
  }

  static var all: [any OperatorCase] {
    var random = RandomValues(seed: 170)
    func inputs(_ vectors: Int, isShared: Bool) -> [Values] {
      [random.normal([2, 3, 7]), random.normal([2, vectors, 7])] + (isShared ? [random.normal([vectors, 7])] : [])
    }
    return [
      ModulationCase(name: "modulation, six vectors of the block", inputs: inputs(6, isShared: false)),
      ModulationCase(name: "modulation, six shared vectors and an offset", inputs: inputs(6, isShared: true)),
      ModulationCase(name: "modulation, two vectors of the head", inputs: inputs(2, isShared: false)),
    ]
  }
}

/// Operators and their backwards on the second of three samples, which lies in the batch's memory at an odd distance
/// from its beginning; inputs x [3, 5, 7], dy of that shape, vectors [3, 7], a map [3, 3, 3, 1, 7] and planes
/// [3, 1, 5, 7].
package struct RowsOfBatchCase: OperatorCase {
  package let operatorName = "rowsOfBatch"
  package let name = "operators on one sample of a batch"
  package let inputs: [Values]
  package let inputNames = ["x", "dy", "vectors", "map", "planes"]
  /// The sum cancels.
  package let cancellation = 4.0
  package let outputNames = [
    "silu", "dSilu", "geluTanh", "softmax", "dSoftmax", "layerNorm", "dLayerNorm", "adaptiveLayerNorm",
    "dAdaptiveLayerNorm", "gatedResidual", "linear", "dLinear", "l2Normalize", "neighborhoodAttention",
    "dNeighborhoodAttention", "convolution", "areaResize", "sum",
  ]

  package func apply<B: Backend>(_ x: OperatorInputs<B>) throws -> OperatorOutcome<B> {
    let (sample, dy, vector, map, planes) = (
      x[0].rows(1..<2), x[1].rows(1..<2), x[2].rows(1..<2), x[3].rows(1..<2), x[4].rows(1..<2)
    )
    let epsilon = B.Scalar(1e-6)
    let (normalized, savedNorm) = B.layerNorm(sample, epsilon: epsilon)
    let (modulated, saved) = B.adaptiveLayerNorm(sample, scale: vector, shift: vector, epsilon: epsilon)
    let softmax = B.softmax(sample)
    let heads = Heads(queries: map, keys: map, values: map)
    let (attended, savedHeads) = B.neighborhoodAttention(heads, window: 2, softmaxScale: B.Scalar(0.5))
    let weight = x[0].rows(2..<3).reshaped([5, 7])
    let kernel = B.slice(planes, axis: 3, 2..<5).reshaped([1, 1, 5, 3])
    return OperatorOutcome([
      B.silu(sample), B.dSilu(dy, x: sample), B.geluTanh(sample), softmax, B.dSoftmax(dy, output: softmax), normalized,
      B.dLayerNorm(dy, savedNorm), modulated, B.dAdaptiveLayerNorm(dy, scale: vector, saved).x,
      B.gatedResidual(sample, branch: dy, gain: vector, keep: nil), B.linear(sample, weight: weight, bias: nil),
      B.dLinear(B.linear(dy, weight: weight, bias: nil), x: sample, weight: weight, hasBias: false).weight,
      B.l2Normalize(sample), attended,
      B.dNeighborhoodAttention(map, savedHeads, window: 2, softmaxScale: B.Scalar(0.5)).keys,
      B.convolution(planes, weight: kernel, bias: nil, .padded(1)), B.areaResize(planes, height: 2, width: 3),
      B.sum(dy, times: B.Scalar(0.5)),
    ])
  }

  package var cost: OperatorCost {
    let count = inputs.reduce(0) { $0 + $1.shape.count }
    return OperatorCost(count: count, operations: (10, 0), forward: (count, count), backward: nil)
  }

  static var all: [any OperatorCase] {
    var random = RandomValues(seed: 171)
    let shapes: [Shape] = [[3, 5, 7], [3, 5, 7], [3, 7], [3, 3, 3, 1, 7], [3, 1, 5, 7]]
    return [RowsOfBatchCase(inputs: shapes.map { random.normal($0) })]
  }
}
