// Every operator of the contract, forwarded to the plain engine.

import TensorCore

extension Forwarding: LinearAlgebraOps, ConvolutionOps, CodebookOps {
  static func linear(_ x: Tensor<Self>, weight: Tensor<Self>, bias: Tensor<Self>?) -> Tensor<Self> {
    give(Plain.linear(plain(x), weight: plain(weight), bias: plain(bias)), like: x)
  }

  static func dLinear(_ dOutput: Tensor<Self>, x: Tensor<Self>, weight: Tensor<Self>, hasBias: Bool)
    -> LinearGradients<Self>
  { give(Plain.dLinear(plain(dOutput), x: plain(x), weight: plain(weight), hasBias: hasBias), like: x) }

  static func convolution(
    _ x: Tensor<Self>, weight: Tensor<Self>, bias: Tensor<Self>?, _ parameters: ConvolutionParameters
  ) -> Tensor<Self> {
    give(Plain.convolution(plain(x), weight: plain(weight), bias: plain(bias), parameters), like: x)
  }

  static func dConvolution(
    _ dOutput: Tensor<Self>, x: Tensor<Self>, weight: Tensor<Self>, hasBias: Bool, _ parameters: ConvolutionParameters
  ) -> LinearGradients<Self> {
    give(
      Plain.dConvolution(plain(dOutput), x: plain(x), weight: plain(weight), hasBias: hasBias, parameters), like: x)
  }

  static func embedding(_ table: Tensor<Self>, _ indices: Indices<Self>) -> Tensor<Self> {
    give(Plain.embedding(plain(table), plain(indices)), like: table)
  }

  static func dEmbedding(_ dOutput: Tensor<Self>, _ indices: Indices<Self>, rows: Int) -> Tensor<Self> {
    give(Plain.dEmbedding(plain(dOutput), plain(indices), rows: rows), like: dOutput)
  }

  static func nearestCode(_ vectors: Tensor<Self>, codebook: Tensor<Self>, metric: CodeMetric) -> Indices<Self> {
    give(Plain.nearestCode(plain(vectors), codebook: plain(codebook), metric: metric), like: vectors)
  }
}

extension Forwarding: ElementwiseOps {
  static func combine(_ x: consuming Tensor<Self>, times alpha: Float, _ y: Tensor<Self>, times beta: Float)
    -> Tensor<Self>
  { give(Plain.combine(plain(x), times: alpha, plain(y), times: beta), like: x) }

  static func multiply(_ x: consuming Tensor<Self>, by alpha: Float) -> Tensor<Self> {
    give(Plain.multiply(plain(x), by: alpha), like: x)
  }

  static func addRows(_ x: consuming Tensor<Self>, rows: Tensor<Self>) -> Tensor<Self> {
    give(Plain.addRows(plain(x), rows: plain(rows)), like: x)
  }

  static func dAddRows(_ dOutput: Tensor<Self>) -> Tensor<Self> { give(Plain.dAddRows(plain(dOutput)), like: dOutput) }

  static func gatedResidual(_ x: consuming Tensor<Self>, branch: Tensor<Self>, gain: Tensor<Self>, keep: [Float]?)
    -> Tensor<Self>
  { give(Plain.gatedResidual(plain(x), branch: plain(branch), gain: plain(gain), keep: keep), like: x) }

  static func dGatedResidual(_ dOutput: Tensor<Self>, branch: Tensor<Self>, gain: Tensor<Self>, keep: [Float]?)
    -> GatedResidualGradients<Self>
  {
    let d = Plain.dGatedResidual(plain(dOutput), branch: plain(branch), gain: plain(gain), keep: keep)
    return GatedResidualGradients(branch: give(d.branch, like: dOutput), gain: give(d.gain, like: dOutput, part: 1))
  }

  static func silu(_ x: consuming Tensor<Self>) -> Tensor<Self> { give(Plain.silu(plain(x)), like: x) }

  static func dSilu(_ dOutput: Tensor<Self>, x: Tensor<Self>) -> Tensor<Self> {
    give(Plain.dSilu(plain(dOutput), x: plain(x)), like: x)
  }

  static func geluTanh(_ x: consuming Tensor<Self>) -> Tensor<Self> { give(Plain.geluTanh(plain(x)), like: x) }

  static func dGeluTanh(_ dOutput: Tensor<Self>, x: Tensor<Self>) -> Tensor<Self> {
    give(Plain.dGeluTanh(plain(dOutput), x: plain(x)), like: x)
  }

  static func softmax(_ x: consuming Tensor<Self>) -> Tensor<Self> { give(Plain.softmax(plain(x)), like: x) }

  static func dSoftmax(_ dOutput: Tensor<Self>, output: Tensor<Self>) -> Tensor<Self> {
    give(Plain.dSoftmax(plain(dOutput), output: plain(output)), like: output)
  }

  static func transpose(_ x: Tensor<Self>) -> Tensor<Self> { give(Plain.transpose(plain(x)), like: x) }

  static func concatenate(_ parts: [Tensor<Self>], axis: Int) -> Tensor<Self> {
    give(Plain.concatenate(parts.map { plain($0) }, axis: axis), like: parts[0])
  }

  static func slice(_ x: Tensor<Self>, axis: Int, _ range: Range<Int>) -> Tensor<Self> {
    give(Plain.slice(plain(x), axis: axis, range), like: x)
  }

  static func dSlice(_ dOutput: Tensor<Self>, shape: Shape, axis: Int, _ range: Range<Int>) -> Tensor<Self> {
    give(Plain.dSlice(plain(dOutput), shape: shape, axis: axis, range), like: dOutput)
  }
}

extension Forwarding: NormalizationOps {
  static func layerNorm(_ x: Tensor<Self>, epsilon: Float) -> (output: Tensor<Self>, saved: LayerNormSaved<Self>) {
    let (output, saved) = Plain.layerNorm(plain(x), epsilon: epsilon)
    return (give(output, like: x), keep(saved, like: x))
  }

  static func dLayerNorm(_ dOutput: Tensor<Self>, _ saved: LayerNormSaved<Self>) -> Tensor<Self> {
    give(Plain.dLayerNorm(plain(dOutput), plain(saved)), like: dOutput)
  }

  static func adaptiveLayerNorm(_ x: Tensor<Self>, scale: Tensor<Self>, shift: Tensor<Self>, epsilon: Float)
    -> (output: Tensor<Self>, saved: LayerNormSaved<Self>)
  {
    let (output, saved) = Plain.adaptiveLayerNorm(plain(x), scale: plain(scale), shift: plain(shift), epsilon: epsilon)
    return (give(output, like: x), keep(saved, like: x))
  }

  static func dAdaptiveLayerNorm(_ dOutput: Tensor<Self>, scale: Tensor<Self>, _ saved: LayerNormSaved<Self>)
    -> AdaptiveLayerNormGradients<Self>
  {
    let d = Plain.dAdaptiveLayerNorm(plain(dOutput), scale: plain(scale), plain(saved))
    return AdaptiveLayerNormGradients(
      x: give(d.x, like: dOutput), scale: give(d.scale, like: dOutput, part: 1),
      shift: give(d.shift, like: dOutput, part: 2))
  }

  static func groupNorm(
    _ x: Tensor<Self>, weight: Tensor<Self>, bias: Tensor<Self>, groups: Int, epsilon: Float, activation: Activation
  ) -> (output: Tensor<Self>, saved: GroupNormSaved<Self>) {
    let (output, saved) = Plain.groupNorm(
      plain(x), weight: plain(weight), bias: plain(bias), groups: groups, epsilon: epsilon, activation: activation)
    let kept = GroupNormSaved(
      x: x, mean: give(saved.mean, like: x, part: 1),
      reciprocalDeviation: give(saved.reciprocalDeviation, like: x, part: 2), activation: activation)
    return (give(output, like: x), kept)
  }

  static func dGroupNorm(
    _ dOutput: Tensor<Self>, weight: Tensor<Self>, bias: Tensor<Self>, _ saved: GroupNormSaved<Self>
  ) -> GroupNormGradients<Self> {
    let d = Plain.dGroupNorm(
      plain(dOutput), weight: plain(weight), bias: plain(bias),
      GroupNormSaved(
        x: plain(saved.x), mean: plain(saved.mean), reciprocalDeviation: plain(saved.reciprocalDeviation),
        activation: saved.activation))
    return GroupNormGradients(
      x: give(d.x, like: dOutput), weight: give(d.weight, like: dOutput, part: 1),
      bias: give(d.bias, like: dOutput, part: 2))
  }

  static func l2Normalize(_ x: Tensor<Self>) -> Tensor<Self> { give(Plain.l2Normalize(plain(x)), like: x) }

  static func dL2Normalize(_ dOutput: Tensor<Self>, x: Tensor<Self>) -> Tensor<Self> {
    give(Plain.dL2Normalize(plain(dOutput), x: plain(x)), like: x)
  }

  private static func plain(_ saved: LayerNormSaved<Self>) -> LayerNormSaved<Plain> {
    LayerNormSaved(
      x: plain(saved.x), mean: plain(saved.mean), reciprocalDeviation: plain(saved.reciprocalDeviation))
  }

  private static func keep(_ saved: LayerNormSaved<Plain>, like x: Tensor<Self>, from function: String = #function)
    -> LayerNormSaved<Self>
  {
    LayerNormSaved(
      x: x, mean: give(saved.mean, like: x, part: 1, from: function),
      reciprocalDeviation: give(saved.reciprocalDeviation, like: x, part: 2, from: function))
  }
}

extension Forwarding: AttentionOps {
  static func splitHeads(_ qkv: Tensor<Self>, heads: Int, logitScale: Tensor<Self>?) -> Heads<Self> {
    give(Plain.splitHeads(plain(qkv), heads: heads, logitScale: plain(logitScale)), like: qkv)
  }

  static func dSplitHeads(_ dHeads: Heads<Self>, qkv: Tensor<Self>, logitScale: Tensor<Self>?)
    -> SplitHeadsGradients<Self>
  {
    let d = Plain.dSplitHeads(plain(dHeads), qkv: plain(qkv), logitScale: plain(logitScale))
    return SplitHeadsGradients(
      qkv: give(d.qkv, like: qkv), logitScale: d.logitScale.map { give($0, like: qkv, part: 1) })
  }

  static func attention(_ heads: Heads<Self>, spans: [AttentionSpan], softmaxScale: Float)
    -> (output: Tensor<Self>, saved: AttentionSaved<Self>)
  { keep(Plain.attention(plain(heads), spans: spans, softmaxScale: softmaxScale), heads) }

  static func dAttention(
    _ dOutput: Tensor<Self>, _ saved: AttentionSaved<Self>, spans: [AttentionSpan], softmaxScale: Float
  )
    -> Heads<Self>
  { give(Plain.dAttention(plain(dOutput), plain(saved), spans: spans, softmaxScale: softmaxScale), like: dOutput) }

  static func neighborhoodAttention(_ heads: Heads<Self>, window: Int, softmaxScale: Float)
    -> (output: Tensor<Self>, saved: AttentionSaved<Self>)
  { keep(Plain.neighborhoodAttention(plain(heads), window: window, softmaxScale: softmaxScale), heads) }

  static func dNeighborhoodAttention(
    _ dOutput: Tensor<Self>, _ saved: AttentionSaved<Self>, window: Int, softmaxScale: Float
  )
    -> Heads<Self>
  {
    give(
      Plain.dNeighborhoodAttention(plain(dOutput), plain(saved), window: window, softmaxScale: softmaxScale),
      like: dOutput)
  }

  private static func keep(
    _ result: (output: Tensor<Plain>, saved: AttentionSaved<Plain>), _ heads: Heads<Self>,
    from function: String = #function
  ) -> (output: Tensor<Self>, saved: AttentionSaved<Self>) {
    let output = give(result.output, like: heads.queries, from: function)
    let logSumExp = give(result.saved.logSumExp, like: heads.queries, part: 1, from: function)
    return (output, AttentionSaved(heads: heads, output: output, logSumExp: logSumExp))
  }

  private static func plain(_ saved: AttentionSaved<Self>) -> AttentionSaved<Plain> {
    AttentionSaved(heads: plain(saved.heads), output: plain(saved.output), logSumExp: plain(saved.logSumExp))
  }
}

extension Forwarding: ResamplingOps {
  static func areaResize(_ x: Tensor<Self>, height: Int, width: Int) -> Tensor<Self> {
    give(Plain.areaResize(plain(x), height: height, width: width), like: x)
  }

  static func dAreaResize(_ dOutput: Tensor<Self>, height: Int, width: Int) -> Tensor<Self> {
    give(Plain.dAreaResize(plain(dOutput), height: height, width: width), like: dOutput)
  }

  static func bicubicResize(_ x: Tensor<Self>, height: Int, width: Int) -> Tensor<Self> {
    give(Plain.bicubicResize(plain(x), height: height, width: width), like: x)
  }

  static func dBicubicResize(_ dOutput: Tensor<Self>, height: Int, width: Int) -> Tensor<Self> {
    give(Plain.dBicubicResize(plain(dOutput), height: height, width: width), like: dOutput)
  }

  static func upsampleNearest(_ x: Tensor<Self>) -> Tensor<Self> { give(Plain.upsampleNearest(plain(x)), like: x) }

  static func dUpsampleNearest(_ dOutput: Tensor<Self>) -> Tensor<Self> {
    give(Plain.dUpsampleNearest(plain(dOutput)), like: dOutput)
  }
}

extension Forwarding: LossOps {
  static func crossEntropy(_ logits: Tensor<Self>, targets: Indices<Self>, labelSmoothing: Float)
    -> (losses: Tensor<Self>, logSumExp: Tensor<Self>)
  {
    let (losses, logSumExp) = Plain.crossEntropy(
      plain(logits), targets: plain(targets), labelSmoothing: labelSmoothing)
    return (give(losses, like: logits), give(logSumExp, like: logits, part: 1))
  }

  static func dCrossEntropy(
    _ dLosses: Tensor<Self>, logits: Tensor<Self>, targets: Indices<Self>, labelSmoothing: Float,
    logSumExp: Tensor<Self>
  ) -> Tensor<Self> {
    give(
      Plain.dCrossEntropy(
        plain(dLosses), logits: plain(logits), targets: plain(targets), labelSmoothing: labelSmoothing,
        logSumExp: plain(logSumExp)), like: logits)
  }

  static func meanSquaredError(_ x: Tensor<Self>, _ y: Tensor<Self>) -> Tensor<Self> {
    give(Plain.meanSquaredError(plain(x), plain(y)), like: x)
  }

  static func dMeanSquaredError(_ dOutput: Tensor<Self>, _ x: Tensor<Self>, _ y: Tensor<Self>) -> Tensor<Self> {
    give(Plain.dMeanSquaredError(plain(dOutput), plain(x), plain(y)), like: x)
  }

  static func meanAbsoluteError(_ x: Tensor<Self>, _ y: Tensor<Self>) -> Tensor<Self> {
    give(Plain.meanAbsoluteError(plain(x), plain(y)), like: x)
  }

  static func dMeanAbsoluteError(_ dOutput: Tensor<Self>, _ x: Tensor<Self>, _ y: Tensor<Self>) -> Tensor<Self> {
    give(Plain.dMeanAbsoluteError(plain(dOutput), plain(x), plain(y)), like: x)
  }

  static func sum(_ x: Tensor<Self>, times alpha: Float) -> Tensor<Self> {
    give(Plain.sum(plain(x), times: alpha), like: x)
  }

  static func dSum(_ dOutput: Tensor<Self>, shape: Shape, times alpha: Float) -> Tensor<Self> {
    give(Plain.dSum(plain(dOutput), shape: shape, times: alpha), like: dOutput)
  }
}

extension Forwarding: OptimizerOps, SamplingOps, RecordingOps {
  static func sumOfSquares(_ x: Tensor<Self>) -> Double {
    x.storage.device.note(#function)
    return Plain.sumOfSquares(plain(x))
  }

  static func sumsOfSquares(_ tensors: [Tensor<Self>]) -> [Double] {
    tensors.first?.storage.device.note(#function)
    return Plain.sumsOfSquares(tensors.map { plain($0) })
  }

  static func adamW(
    _ parameter: inout Tensor<Self>, gradient: Tensor<Self>, firstMoment: inout Tensor<Self>,
    secondMoment: inout Tensor<Self>, _ settings: AdamWSettings
  ) {
    var (w, m, v) = (
      plain(parameter) as Tensor<Plain>, plain(firstMoment) as Tensor<Plain>, plain(secondMoment) as Tensor<Plain>
    )
    Plain.adamW(&w, gradient: plain(gradient), firstMoment: &m, secondMoment: &v, settings)
    parameter = give(w, like: gradient)
    firstMoment = give(m, like: gradient, part: 1)
    secondMoment = give(v, like: gradient, part: 2)
  }

  static func guide(_ logits: Tensor<Self>, strength: Float) -> Tensor<Self> {
    give(Plain.guide(plain(logits), strength: strength), like: logits)
  }

  static func filterLogits(_ logits: consuming Tensor<Self>, topK: Int, topP: Double) -> Tensor<Self> {
    give(Plain.filterLogits(plain(logits), topK: topK, topP: topP), like: logits)
  }

  static func sampleTokens(_ logits: Tensor<Self>, streams: [RandomStream], firstPosition: Int) -> Indices<Self> {
    give(Plain.sampleTokens(plain(logits), streams: streams, firstPosition: firstPosition), like: logits)
  }

  static func gumbelSoftmax(
    _ logits: consuming Tensor<Self>, factor: Float, temperature: Float, streams: [RandomStream], firstPosition: Int
  ) -> Tensor<Self> {
    give(
      Plain.gumbelSoftmax(
        plain(logits), factor: factor, temperature: temperature, streams: streams, firstPosition: firstPosition),
      like: logits)
  }

  static func makeRecorder(on device: ForwardingDevice) -> Never? {
    device.note(#function)
    return nil
  }

  static func record(with recorder: Never, _ work: () throws -> Void) rethrows -> Never {}

  static func perform(_ work: Never, on input: Tensor<Self>, at place: Tensor<Self>) {}
}
