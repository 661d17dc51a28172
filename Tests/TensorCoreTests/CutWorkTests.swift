// How the CPU engine splits its work must not affect results: an image's bits depend neither on the batch nor on the
// threads. Code that is generic over the engine must reach the specializations for a scalar type.
//
// Values and gradients are checked by the tests that run on every engine; only bits and speed are checked here.

import TensorCore
import Testing

/// Values in (−1, 1), the same for the same seed.
private func random(_ shape: Shape, _ seed: UInt64) -> Tensor<CPU<Float>> {
  let stream = RandomStream(seed: seed, stream: 0)
  let values = (0..<shape.count).map { Float(stream.uniform($0, purpose: .initialization) * 2 - 1) }
  return Tensor(shape: shape, storage: CPU.makeStorage(values, on: HostDevice()))
}

private func bits(_ t: Tensor<CPU<Float>>) -> [UInt32] { CPU.scalars(t.storage).map(\.bitPattern) }

@Suite struct CutWorkTests {
  /// One image alone and as the third of four, in single precision, at sizes on both sides of every threshold.
  @Test(arguments: [
    (2, 1024, 1024), (1, 1024, 6144), (4, 1024, 3072), (9, 1024, 3072), (16, 1024, 1024), (25, 1024, 4096),
    (36, 4096, 1024), (64, 1024, 3072), (100, 1024, 1024), (169, 1024, 1024), (256, 1024, 1024), (9, 32, 1024),
    (25, 32, 1024), (36, 32, 1024), (64, 32, 1024), (256, 32, 1024), (13, 160, 480), (77, 384, 100), (50, 1000, 333),
  ])
  func rowsDoNotDependOnTheBatch(_ tokens: Int, _ inputs: Int, _ outputs: Int) {
    let batch: Tensor<CPU<Float>> = random([8, tokens, inputs], 1)
    let (w, bias): (Tensor<CPU<Float>>, Tensor<CPU<Float>>) = (random([outputs, inputs], 2), random([outputs], 3))
    let whole = bits(CPU.linear(batch, weight: w, bias: bias))
    for part in [2..<3, 3..<5, 5..<8] {
      let alone = bits(CPU.linear(batch.rows(part), weight: w, bias: bias))
      let row = tokens * outputs
      #expect(alone[...] == whole[part.lowerBound * row..<part.upperBound * row], "images \(part)")
    }
  }

  /// An image alone and as the third of four: attention of both kinds, convolution and group norm.
  @Test func imagesDoNotDependOnTheBatch() {
    let batch = random([4, 81, 3 * 64], 7)
    func attend(_ qkv: Tensor<CPU<Float>>) -> [UInt32] {
      let heads = CPU.splitHeads(qkv, heads: 4, logitScale: nil)
      let spans = [AttentionSpan(queries: 0..<30, keys: 0..<30), AttentionSpan(queries: 30..<81, keys: 30..<81)]
      return bits(CPU.attention(heads, spans: spans, softmaxScale: 0.3).output)
    }
    func attendNearby(_ qkv: Tensor<CPU<Float>>) -> [UInt32] {
      let heads = CPU.splitHeads(qkv, heads: 4, logitScale: nil)
      func map(_ t: Tensor<CPU<Float>>) -> Tensor<CPU<Float>> { t.reshaped([t.shape[0], 9, 9, 4, 16]) }
      let maps = Heads(queries: map(heads.queries), keys: map(heads.keys), values: map(heads.values))
      return bits(CPU.neighborhoodAttention(maps, window: 7, softmaxScale: 0.3).output)
    }
    let images = random([4, 64, 20, 24], 8)
    let (kernel, bias, gain) = (random([32, 64, 3, 3], 9), random([32], 10), random([64], 11))
    func convolve(_ x: Tensor<CPU<Float>>) -> [UInt32] {
      let normed = CPU.groupNorm(x, weight: gain, bias: gain, groups: 32, epsilon: 1e-6, activation: .silu).output
      return bits(CPU.convolution(normed, weight: kernel, bias: bias, .padded(1)))
    }
    for (x, run) in [(batch, attend), (batch, attendNearby), (images, convolve)] {
      let whole = run(x)
      let each = whole.count / 4
      #expect(run(x.rows(2..<3))[...] == whole[2 * each..<3 * each])
    }
  }

  /// Every operator gives the same bits with one thread and with two.
  @Test func bitsDoNotDependOnTheThreads() {
    func results() -> [[UInt32]] {
      let (x, w): (Tensor<CPU<Float>>, Tensor<CPU<Float>>) = (random([2, 77, 384], 1), random([640, 384], 2))
      let qkv: Tensor<CPU<Float>> = random([2, 70, 3 * 64], 3)
      let logitScale: Tensor<CPU<Float>> = random([4], 4)
      let linear = CPU.linear(x, weight: w, bias: nil)
      let dLinear = CPU.dLinear(linear, x: x, weight: w, hasBias: true)
      let heads = CPU.splitHeads(qkv, heads: 4, logitScale: logitScale)
      let dSplit = CPU.dSplitHeads(heads, qkv: qkv, logitScale: logitScale)
      let spans = [AttentionSpan(queries: 0..<30, keys: 0..<30), AttentionSpan(queries: 30..<70, keys: 10..<70)]
      let (output, saved) = CPU.attention(heads, spans: spans, softmaxScale: 1)
      let dHeads = CPU.dAttention(output, saved, spans: spans, softmaxScale: 1)
      func onMap(_ t: Tensor<CPU<Float>>) -> Tensor<CPU<Float>> { t.reshaped([2, 7, 10, 4, 16]) }
      let map = Heads(queries: onMap(heads.queries), keys: onMap(heads.keys), values: onMap(heads.values))
      let (near, kept) = CPU.neighborhoodAttention(map, window: 5, softmaxScale: 1)
      let dNear = CPU.dNeighborhoodAttention(near, kept, window: 5, softmaxScale: 1)
      let image: Tensor<CPU<Float>> = random([2, 40, 33, 47], 5)
      let kernel: Tensor<CPU<Float>> = random([70, 40, 3, 3], 6)
      let y = CPU.convolution(image, weight: kernel, bias: nil, .padded(1))
      let dy = CPU.dConvolution(y, x: image, weight: kernel, hasBias: true, .padded(1))
      return [
        linear, dLinear.x, dLinear.weight, dLinear.bias!, dSplit.qkv, dSplit.logitScale!, output, dHeads.queries,
        dHeads.keys, dHeads.values, near, dNear.queries, dNear.keys, dNear.values, y, dy.x, dy.weight, dy.bias!,
      ].map(bits)
    }
    let before = ThreadCount.current
    defer { ThreadCount.current = before }
    ThreadCount.current = 1
    let one = results()
    for threads in [2, 5] {
      ThreadCount.current = threads
      #expect(results() == one)
    }
  }

  /// Called from generic code in another module, an operator runs its specialized form, not the slow generic one.
  @Test func genericCallersReachTheSpecializedForms() {
    let (x, w): (Tensor<CPU<Float>>, Tensor<CPU<Float>>) = (random([1, 4, 1024], 1), random([256, 1024], 2))
    let qkv: Tensor<CPU<Float>> = random([1, 100, 3 * 256], 3)
    let scales: Tensor<CPU<Float>> = random([4], 4)
    let clock = ContinuousClock()
    func fastest(_ body: () -> Void) -> Duration { (0..<20).map { _ in clock.measure(body) }.min()! }
    let direct = fastest { _ = CPU.linear(x, weight: w, bias: nil) }
    let generic = fastest { _ = genericLinear(x, w) }
    #expect(generic < direct * 10, "linear: \(generic) from generic code, \(direct) directly")
    let directSplit = fastest { _ = CPU.splitHeads(qkv, heads: 4, logitScale: scales) }
    let genericSplit = fastest { _ = genericSplitHeads(qkv, scales) }
    #expect(genericSplit < directSplit * 10, "splitHeads: \(genericSplit) from generic code, \(directSplit) directly")
    // A million multiplications and additions: milliseconds at most when specialized, most of a second when not.
    #expect(generic < .milliseconds(20))
  }
}

@inline(never)
@_semantics("optimize.sil.specialize.generic.never")
private func genericLinear<B: LinearAlgebraOps>(_ x: Tensor<B>, _ w: Tensor<B>) -> Tensor<B> {
  B.linear(x, weight: w, bias: nil)
}

@inline(never)
@_semantics("optimize.sil.specialize.generic.never")
private func genericSplitHeads<B: AttentionOps>(_ qkv: Tensor<B>, _ scales: Tensor<B>) -> Heads<B> {
  B.splitHeads(qkv, heads: 4, logitScale: scales)
}
