// The light operators of the CPU engine: against plain loops, against finite differences in double precision, and on
// the inputs that usually break such code. Float is compared with Double on the same values, with a bound of a few
// units in the last place, stated next to the case. Speed is not tested here.

import TensorCore
import Testing

private typealias Single = CPU<Float>
private typealias Exact = CPU<Double>

/// Values in −1 ..< 1, the same in every run.
private func numbers(_ count: Int, _ stream: UInt64 = 0, scale: Double = 1) -> [Double] {
  let source = RandomStream(seed: 7, stream: stream)
  return (0..<count).map { (2 * source.uniform($0, purpose: .initialization) - 1) * scale }
}
private func exact(_ shape: Shape, _ stream: UInt64 = 0, scale: Double = 1) throws -> Tensor<Exact> {
  try Tensor(numbers(shape.count, stream, scale: scale), shape: shape, on: HostDevice())
}
private func single(_ x: Tensor<Exact>) throws -> Tensor<Single> {
  try Tensor(try x.scalars().map { Float($0) }, shape: x.shape, on: HostDevice())
}
/// The largest difference, relative to the largest value.
private func distance<A: BinaryFloatingPoint, B: BinaryFloatingPoint>(_ a: [A], _ b: [B]) -> Double {
  #expect(a.count == b.count)
  let size = b.map { abs(Double($0)) }.max() ?? 1
  return (zip(a, b).map { abs(Double($0) - Double($1)) }.max() ?? 0) / max(size, 1e-30)
}

/// Compares a backward with central differences along a random cotangent, at up to 40 elements of every input.
private func checkGradient(
  _ inputs: [Tensor<Exact>], forward: ([Tensor<Exact>]) -> Tensor<Exact>,
  backward: (Tensor<Exact>, [Tensor<Exact>]) -> [Tensor<Exact>], location: SourceLocation = #_sourceLocation
) throws {
  let cotangent = try exact(forward(inputs).shape, 99)
  let weights = try cotangent.scalars()
  func value(_ inputs: [Tensor<Exact>]) throws -> Double {
    zip(try forward(inputs).scalars(), weights).reduce(0) { $0 + $1.0 * $1.1 }
  }
  let gradients = backward(cotangent, inputs)
  #expect(gradients.count == inputs.count)
  for (which, gradient) in gradients.enumerated() {
    let analytic = try gradient.scalars()
    let size = max(analytic.map { abs($0) }.max() ?? 0, 1e-3)
    let values = try inputs[which].scalars()
    #expect(gradient.shape == inputs[which].shape, sourceLocation: location)
    for place in stride(from: 0, to: values.count, by: max(1, values.count / 40)) {
      var changed = inputs
      func at(_ step: Double) throws -> Double {
        var moved = values
        moved[place] += step
        changed[which] = try Tensor(moved, shape: inputs[which].shape, on: HostDevice())
        return try value(changed)
      }
      let numeric = (try at(1e-5) - at(-1e-5)) / 2e-5
      // 1e-7: a step of 1e-5 leaves truncation near 1e-10 and rounding near 1e-11 times the value's size.
      #expect(
        abs(numeric - analytic[place]) <= 1e-7 * size, "input \(which), place \(place): \(numeric), \(analytic[place])",
        sourceLocation: location)
    }
  }
}

@Suite struct CPUOperatorTests {
  @Test(arguments: [1, 7, 17, 33, 64], [1, 3])
  func gradientsOfRows(channels: Int, batch: Int) throws {
    let x = try exact([batch, 5, channels], 1, scale: 2)
    let other = try exact([batch, 5, channels], 2)
    let (scale, shift) = (try exact([batch, channels], 3), try exact([batch, channels], 4))
    let keep = (0..<batch).map { $0 == 1 ? 0.0 : 1.25 }
    try checkGradient([x], forward: { Exact.silu($0[0]) }, backward: { [Exact.dSilu($0, x: $1[0])] })
    try checkGradient([x], forward: { Exact.geluTanh($0[0]) }, backward: { [Exact.dGeluTanh($0, x: $1[0])] })
    try checkGradient(
      [x], forward: { Exact.softmax($0[0]) }, backward: { [Exact.dSoftmax($0, output: Exact.softmax($1[0]))] })
    try checkGradient(
      [x, other, scale], forward: { Exact.gatedResidual($0[0], branch: $0[1], gain: $0[2], keep: keep) },
      backward: {
        let gradients = Exact.dGatedResidual($0, branch: $1[1], gain: $1[2], keep: keep)
        return [$0, gradients.branch, gradients.gain]
      })
    try checkGradient(
      [x, try exact([5, channels], 5)], forward: { Exact.addRows($0[0], rows: $0[1]) },
      backward: { d, _ in [d, Exact.dAddRows(d)] })
    if channels > 1 {
      try checkGradient(
        [x], forward: { Exact.layerNorm($0[0], epsilon: 1e-2).output },
        backward: { [Exact.dLayerNorm($0, Exact.layerNorm($1[0], epsilon: 1e-2).saved)] })
    }
    try checkGradient(
      [x, scale, shift],
      forward: { Exact.adaptiveLayerNorm($0[0], scale: $0[1], shift: $0[2], epsilon: 1e-2).output },
      backward: {
        let saved = Exact.adaptiveLayerNorm($1[0], scale: $1[1], shift: $1[2], epsilon: 1e-2).saved
        let gradients = Exact.dAdaptiveLayerNorm($0, scale: $1[1], saved)
        return [gradients.x, gradients.scale, gradients.shift]
      })
    // Away from zero, where the norm of one value has a kink.
    try checkGradient(
      [Exact.addRows(x, rows: Tensor(repeating: 3, shape: [5, channels], on: HostDevice()))],
      forward: { Exact.l2Normalize($0[0]) }, backward: { [Exact.dL2Normalize($0, x: $1[0])] })
  }

  @Test(arguments: [(4, 4), (6, 1), (6, 3), (1, 1)], [Activation.identity, .silu])
  func gradientsOfGroupNorm(shape: (channels: Int, groups: Int), activation: Activation) throws {
    for batch in [1, 3] {
      let x = try exact([batch, shape.channels, 3, 5], 1, scale: 2)
      try checkGradient(
        [x, try exact([shape.channels], 2), try exact([shape.channels], 3)],
        forward: {
          Exact.groupNorm(
            $0[0], weight: $0[1], bias: $0[2], groups: shape.groups, epsilon: 1e-3, activation: activation
          ).output
        },
        backward: {
          let saved = Exact.groupNorm(
            $1[0], weight: $1[1], bias: $1[2], groups: shape.groups, epsilon: 1e-3, activation: activation
          ).saved
          let gradients = Exact.dGroupNorm($0, weight: $1[1], bias: $1[2], saved)
          return [gradients.x, gradients.weight, gradients.bias]
        })
    }
  }

  @Test func gradientsOfMapsAndLosses() throws {
    for (from, to) in [(1, 4), (4, 1), (5, 3), (3, 16), (16, 13), (9, 9)] {
      let x = try exact([2, 3, from, from + 1], 1)
      try checkGradient(
        [x], forward: { Exact.areaResize($0[0], height: to, width: to + 2) },
        backward: { d, _ in [Exact.dAreaResize(d, height: from, width: from + 1)] })
      try checkGradient(
        [x], forward: { Exact.bicubicResize($0[0], height: to, width: to + 2) },
        backward: { d, _ in [Exact.dBicubicResize(d, height: from, width: from + 1)] })
      try checkGradient(
        [x], forward: { Exact.upsampleNearest($0[0]) }, backward: { d, _ in [Exact.dUpsampleNearest(d)] })
      try checkGradient(
        [x], forward: { Exact.slice($0[0], axis: 1, 1..<3) },
        backward: { d, _ in [Exact.dSlice(d, shape: x.shape, axis: 1, 1..<3)] })
    }
    let (x, y) = (try exact([3, 7], 1), try exact([3, 7], 2))
    let targets = try Indices<Exact>([6, 0, 3], shape: [3], on: HostDevice())
    for smoothing in [0, 0.1] {
      try checkGradient(
        [x], forward: { Exact.crossEntropy($0[0], targets: targets, labelSmoothing: smoothing).losses },
        backward: {
          let saved = Exact.crossEntropy($1[0], targets: targets, labelSmoothing: smoothing).logSumExp
          return [Exact.dCrossEntropy($0, logits: $1[0], targets: targets, labelSmoothing: smoothing, logSumExp: saved)]
        })
    }
    try checkGradient(
      [x], forward: { Exact.meanSquaredError($0[0], y) }, backward: { [Exact.dMeanSquaredError($0, $1[0], y)] })
    try checkGradient(
      [x], forward: { Exact.meanAbsoluteError($0[0], y) }, backward: { [Exact.dMeanAbsoluteError($0, $1[0], y)] })
    try checkGradient(
      [x], forward: { Exact.sum($0[0], times: 3) }, backward: { d, _ in [Exact.dSum(d, shape: x.shape, times: 3)] })
    let places = try Indices<Exact>([2, 0, 2, 1, 2], shape: [5], on: HostDevice())
    try checkGradient(
      [x], forward: { Exact.embedding($0[0], places) }, backward: { d, _ in [Exact.dEmbedding(d, places, rows: 3)] })
  }

  @Test(arguments: [1, 7, 17, 33, 1000, 4096])
  func singlePrecisionStaysNearDouble(channels: Int) throws {
    let x = try exact([1, 3, channels], 1, scale: 30)
    let xs = try single(x)
    let wide: Tensor<Exact> = try Tensor(try xs.scalars().map { Double($0) }, shape: x.shape, on: HostDevice())
    // Bounds relative to the largest result: a few units in the last place, 6e-8 each.
    #expect(distance(try Single.silu(xs).scalars(), try Exact.silu(wide).scalars()) < 3e-7)
    #expect(distance(try Single.geluTanh(xs).scalars(), try Exact.geluTanh(wide).scalars()) < 3e-7)
    #expect(distance(try Single.softmax(xs).scalars(), try Exact.softmax(wide).scalars()) < 2e-6)
    #expect(distance(try Single.l2Normalize(xs).scalars(), try Exact.l2Normalize(wide).scalars()) < 4e-7)
    if channels > 1 {
      // A mean a hundred times the deviation must not cost the variance precision.
      let (near, wideNear) = (
        Single.addRows(xs, rows: Tensor(repeating: 1024, shape: [3, channels], on: HostDevice())),
        Exact.addRows(wide, rows: Tensor(repeating: 1024, shape: [3, channels], on: HostDevice()))
      )
      let normal = try Single.layerNorm(near, epsilon: 1e-6).output.scalars()
      #expect(distance(normal, try Exact.layerNorm(wideNear, epsilon: 1e-6).output.scalars()) < 4e-5)
    }
  }

  @Test func rearrangementsMatchPlainLoops() throws {
    let (b, r, s) = (2, 19, 37)
    let x = try exact([b, r, s])
    let values = try x.scalars()
    let turned = try Exact.transpose(x).scalars()
    for i in 0..<b * r * s {
      #expect(turned[i / (r * s) * r * s + i % s * r + i / s % r] == values[i])
    }
    for axis in 0..<3 {
      let length = x.shape[axis]
      let parts = [Exact.slice(x, axis: axis, 0..<1), Exact.slice(x, axis: axis, 1..<length)]
      #expect(try Exact.concatenate(parts, axis: axis).scalars() == values)
    }
    let (wide, y) = (try exact([1, 1, 3, 11]), try exact([1, 1, 3, 11]).scalars())
    let doubled = try Exact.upsampleNearest(wide).scalars()
    for i in 0..<doubled.count { #expect(doubled[i] == y[i / 22 / 2 * 11 + i % 22 / 2]) }
  }

  @Test func extremeLogits() throws {
    let row: [Float] = [80, -80, -.infinity, 80, 0, -.infinity, 79.5, -1000, 3]
    let x: Tensor<Single> = try Tensor(row, shape: [1, 1, 9], on: HostDevice())
    let sum = row.reduce(0.0) { $0 + Double.exponential(Double($1) - 80) }
    for (p, logit) in zip(try Single.softmax(x).scalars(), row) {
      #expect(abs(Double(p) - Double.exponential(Double(logit) - 80) / sum) < 1e-7)
    }
    #expect(try Single.softmax(x).scalars()[2] == 0)
    let silu = try Single.silu(x.reshaped([9])).scalars()
    #expect(silu[0] == 80 && abs(silu[1]) < 1e-30 && abs(silu[7]) < 1e-30)
    let nothing = Tensor<Single>(repeating: -.infinity, shape: [1, 1, 9], on: HostDevice())
    let broken = Tensor<Single>(repeating: .nan, shape: [1, 1, 9], on: HostDevice())
    let stream = [RandomStream(seed: 1, stream: 0)]
    for bad in [nothing, broken] {
      let kept = Single.filterLogits(bad, topK: 3, topP: 0.9)
      #expect(try Single.sampleTokens(kept, streams: stream, firstPosition: 0).values() == [0])
      _ = Single.gumbelSoftmax(bad, factor: 1, temperature: 0.1, streams: stream, firstPosition: 0)
    }
    var infinite = row
    infinite[4] = .infinity
    let certain: Tensor<Single> = try Tensor(infinite, shape: [1, 1, 9], on: HostDevice())
    let kept = Single.filterLogits(certain, topK: 3, topP: 0.9)
    #expect(try Single.sampleTokens(kept, streams: stream, firstPosition: 0).values() == [4])
  }

  /// The filter computed with a full sort.
  private func plainFilter(_ row: [Float], _ k: Int, _ p: Double) -> [Float] {
    var row = row
    if k > 0 {
      let least = row.sorted(by: >)[min(k, row.count) - 1]
      row = row.map { $0 < least ? -.infinity : $0 }
    }
    if p > 0 {
      let order = row.indices.sorted { (row[$0], $0) < (row[$1], $1) }
      let most = Double(row.max()!)
      let weights = order.map { Double.exponential(Double(row[$0]) - most) }
      let total = weights.reduce(0, +)
      var cumulative = 0.0
      for (place, code) in order.enumerated().dropLast() {
        cumulative += weights[place] / total
        if cumulative <= 1 - p { row[code] = -.infinity }
      }
    }
    return row
  }

  @Test(arguments: [1, 2, 9, 130, 4096], [(0, 0), (1, 0.5), (3, 0), (0, 0.96), (900, 0.96), (10_000, 1)])
  func filterMatchesFullSort(length: Int, limits: (k: Int, p: Double)) throws {
    for kind in 0..<4 {
      var row = numbers(length, UInt64(kind), scale: 8).map { Float($0) }
      if kind == 1 { row = row.map { $0.rounded() } }  // ties
      if kind == 2 { row = row.indices.map { $0 % 3 == 0 && $0 > 0 ? -.infinity : row[$0] } }
      if kind == 3 { row = row.indices.map { $0 == 0 ? 3e38 : row[$0] * 1e-3 } }  // all but one in one bucket
      let x: Tensor<Single> = try Tensor(row + row, shape: [2, length], on: HostDevice())
      let kept = try Single.filterLogits(x, topK: limits.k, topP: limits.p).scalars()
      let plain = plainFilter(row, limits.k, limits.p)
      #expect(kept == plain + plain)
    }
  }

  @Test func samplingFollowsTheCumulativeSum() throws {
    let (positions, codes) = (40, 33)
    let x = try exact([2, positions, codes], 3, scale: 4)
    let streams = [RandomStream(seed: 5, stream: 11), RandomStream(seed: 5, stream: 12)]
    let sampled = try Exact.sampleTokens(x, streams: streams, firstPosition: 6).values()
    let values = try x.scalars()
    for row in 0..<2 * positions {
      let weights = (0..<codes).map { Double.exponential(values[row * codes + $0]) }
      let u = streams[row / positions].uniform(6 + row % positions, purpose: .token) * weights.reduce(0, +)
      var cumulative = 0.0
      let token = weights.firstIndex { weight in
        cumulative += weight
        return cumulative > u
      }
      #expect(sampled[row] == token)
    }
    let smooth = try Exact.gumbelSoftmax(x, factor: 1.5, temperature: 0.7, streams: streams, firstPosition: 6).scalars()
    for row in 0..<2 * positions {
      let powers = (0..<codes).map { code -> Double in
        let u = streams[row / positions].uniform((6 + row % positions) * codes + code, purpose: .smooth)
        let noise = -Double.logarithm(-Double.logarithm(u))
        return Double.exponential((1.5 * values[row * codes + code] + noise) / 0.7)
      }
      let sum = powers.reduce(0, +)
      for code in 0..<codes { #expect(abs(smooth[row * codes + code] - powers[code] / sum) < 1e-12) }
    }
  }

  @Test(arguments: [1, 3, 8, 30, 4096], [1, 7, 32])
  func nearestCodeIsThePlainOne(codes: Int, width: Int) throws {
    let rows = codes == 4096 ? 37 : 11
    var table = numbers(codes * width, 1).map { Float($0) }
    // The last code equals the first: the first must win.
    table.replaceSubrange((codes - 1) * width..<codes * width, with: table[..<width])
    let z = numbers(rows * width, 2).map { Float($0) }
    let vectors: Tensor<Single> = try Tensor(Array(table[..<width]) + z, shape: [rows + 1, width], on: HostDevice())
    let codebook: Tensor<Single> = try Tensor(table, shape: [codes, width], on: HostDevice())
    func nearest(_ row: Int, _ metric: CodeMetric) -> Int {
      let v = row == 0 ? table[..<width].map(\.self) : Array(z[(row - 1) * width..<row * width])
      func unit(_ x: [Float]) -> [Float] {
        let norm = max(x.reduce(0) { $0 + $1 * $1 }.squareRoot(), 1e-12)
        return x.map { $0 / norm }
      }
      let distances = (0..<codes).map { code -> Float in
        let e = Array(table[code * width..<(code + 1) * width])
        if metric == .cosine { return -zip(unit(v), unit(e)).reduce(0) { $0 + $1.0 * $1.1 } }
        let squares = v.reduce(0) { $0 + $1 * $1 } + e.reduce(0) { $0 + $1 * $1 }
        return squares - 2 * zip(v, e).reduce(0) { $0 + $1.0 * $1.1 }
      }
      return distances.firstIndex(of: distances.min()!)!
    }
    for metric in [CodeMetric.euclidean, .cosine] {
      let found = try Single.nearestCode(vectors, codebook: codebook, metric: metric).values()
      #expect(found == (0...rows).map { nearest($0, metric) })
      // A vector alone finds the same code.
      #expect(
        try Single.nearestCode(vectors.rows(3..<4), codebook: codebook, metric: metric).values() == [found[3]])
    }
  }

  @Test func adamWMatchesThePlainStepAndCopiesSharedMemory() throws {
    let start = try exact([1001], 1)
    let gradient = try exact([1001], 2)
    var (w, m, v) = (start, try exact([1001], 3), Exact.multiply(Exact.softmax(start), by: 1))
    let (w0, m0, v0, g) = (try w.scalars(), try m.scalars(), try v.scalars(), try gradient.scalars())
    let settings = AdamWSettings(learningRate: 0.01, decay: 0.05, step: 3, gradientFactor: 0.5)
    Exact.adamW(&w, gradient: gradient, firstMoment: &m, secondMoment: &v, settings)
    let (after, m1, v1) = (try w.scalars(), try m.scalars(), try v.scalars())
    for i in 0..<1001 {
      let first = 0.9 * m0[i] + 0.1 * 0.5 * g[i]
      let second = 0.95 * v0[i] + 0.05 * 0.25 * g[i] * g[i]
      let change = 0.01 * first / (1 - 0.729) / ((second / (1 - 0.857375)).squareRoot() + 1e-8)
      #expect(abs(after[i] - (w0[i] * (1 - 0.0005) - change)) < 1e-13)
      #expect(abs(m1[i] - first) < 1e-15 && abs(v1[i] - second) < 1e-15)
    }
    #expect(try start.scalars() == w0)
    let sum = g.reduce(0) { $0 + $1 * $1 }
    #expect(abs(Exact.sumOfSquares(gradient) - sum) < 1e-12 * sum)
  }

  @Test func sharedTensorsKeepTheirValues() throws {
    let x = try exact([2, 3, 5])
    let before = try x.scalars()
    let part = x.rows(1..<2)
    _ = Exact.silu(x)
    _ = Exact.multiply(part, by: 3)
    _ = Exact.softmax(x)
    _ = Exact.combine(x, times: 2, x, times: 3)
    _ = Exact.filterLogits(x, topK: 1, topP: 0.5)
    #expect(try x.scalars() == before)
  }

  @Test func threadsAndBatchesDoNotChangeBits() throws {
    let shape: Shape = [3, 70, 513]
    let x = try single(exact(shape, 1, scale: 4))
    let d = try single(exact(shape, 2))
    let (scale, shift) = (try single(exact([3, 513], 3)), try single(exact([3, 513], 4)))
    let (weight, bias) = (try single(exact([70], 5)), try single(exact([70], 6)))
    let streams = (0..<3).map { RandomStream(seed: 3, stream: UInt64($0)) }
    // Every result whose first axis is the batch.
    func all(_ range: Range<Int>) throws -> [[Float]] {
      let (x, d) = (x.rows(range), d.rows(range))
      let (scale, shift) = (scale.rows(range), shift.rows(range))
      let map = x.reshaped([range.count, 70, 27, 19])
      let (normal, saved) = Single.adaptiveLayerNorm(x, scale: scale, shift: shift, epsilon: 1e-6)
      let gradients = Single.dAdaptiveLayerNorm(d, scale: scale, saved)
      let gated = Single.dGatedResidual(d, branch: x, gain: scale, keep: nil)
      let groups = Single.groupNorm(map, weight: weight, bias: bias, groups: 10, epsilon: 1e-6, activation: .silu)
      let dGroups = Single.dGroupNorm(d.reshaped(map.shape), weight: weight, bias: bias, groups.saved)
      let tensors = [
        normal, gradients.x, gradients.scale, gradients.shift, gated.branch, gated.gain, groups.output, dGroups.x,
        Single.silu(x), Single.geluTanh(x), Single.softmax(x), Single.bicubicResize(map, height: 16, width: 16),
        Single.filterLogits(x, topK: 90, topP: 0.9),
      ]
      let tokens = Single.sampleTokens(x, streams: Array(streams[range]), firstPosition: 0)
      return try tensors.map { try $0.scalars() } + [try tokens.values().map { Float($0) }]
    }
    func sums() throws -> [Float] {
      try Single.sum(x, times: 1).scalars() + Single.dAddRows(x).scalars() + [Float(Single.sumOfSquares(x))]
    }
    let threads = ThreadCount.current
    defer { ThreadCount.current = threads }
    ThreadCount.current = 1
    let (one, oneSums) = (try all(0..<3), try sums())
    ThreadCount.current = 2
    let (two, alone) = (try all(0..<3), try all(1..<2))
    #expect(one == two)
    #expect(try sums() == oneSums)
    for (whole, part) in zip(two, alone) {
      #expect(Array(whole[whole.count / 3..<2 * whole.count / 3]) == part)
    }
  }
}
