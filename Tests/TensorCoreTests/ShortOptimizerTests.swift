// Optimizer steps on gradients in bf16 and moments in 8 bits, against a plain twin that looks codes up in a table and
// computes their probabilities in double precision: the same bits for every length, whatever the number of threads. And
// what the codes are for: means that are exact, and steps that stay bounded where v spans decades.

import TensorCore
import Testing

private typealias Engine = CPU<Float>

/// The numbers x of the codes in ascending order, in Double, which holds them exactly.
private enum Codes {
  static let first = table(most: 127, perOctave: 8)
  static let second = table(most: 255, perOctave: 16)

  private static func table(most: Int, perOctave: Int) -> [Double] {
    [0]
      + (1...most).map { code in
        // Counted from the largest, 2 − 1/perOctave.
        let place = 16 * perOctave - 1 - (most - code)
        var power = 1.0
        for _ in place / perOctave..<15 { power /= 2 }
        return power * (1 + Double(place % perOctave) / Double(perOctave))
      }
  }

  /// The code below x, or the one above with the probability that makes the mean exact.
  static func rounded(_ x: Double, _ table: [Double], share: Double) -> Int {
    let low = min(table.lastIndex { $0 <= x } ?? 0, table.count - 1)
    guard low + 1 < table.count else { return low }
    if low == 0 { return x > share * table[1] ? 1 : 0 }
    return (x - table[low]) / (table[low + 1] - table[low]) + share >= 1 ? low + 1 : low
  }
}

/// A step as the formulas have it.
private struct PlainStep {
  var w, m, v: [Float]
  let settings: AdamWSettings

  mutating func update(_ g: [Float], power: (Double, Int) -> Double) {
    let (beta1, beta2) = (settings.betas[0], settings.betas[1])
    let (c1, c2) = (1 - power(beta1, settings.step), 1 - power(beta2, settings.step))
    let (rate, spread) = (Float(settings.learningRate / c1), Float(1 / c2.squareRoot()))
    for i in w.indices {
      let gradient = g[i] * Float(settings.gradientFactor)
      m[i] = m[i] * Float(beta1) + gradient * Float(1 - beta1)
      v[i] = v[i] * Float(beta2) + gradient * gradient * Float(1 - beta2)
      let change = m[i] * rate / (v[i].squareRoot() * spread + Float(settings.epsilon))
      w[i] = w[i] * Float(1 - settings.learningRate * settings.decay) - change
    }
  }

  /// 32 bits for an element.
  func random(_ index: Int) -> UInt32 {
    let key = RandomStream(seed: settings.stream, stream: UInt64(settings.step)).words(block: 0, purpose: .rounding)[0]
    var x = UInt32(index) ^ key
    x = (x ^ x >> 16) &* 0x7FEB_352D
    x = (x ^ x >> 15) &* 0x846C_A68B
    return x ^ x >> 16
  }

  /// Codes and scales of both moments.
  func rounded() -> (first: ([UInt8], [Float]), second: ([UInt8], [Float])) {
    var (first, second): (([UInt8], [Float]), ([UInt8], [Float])) = (([], []), ([], []))
    for start in stride(from: 0, to: m.count, by: 256) {
      let range = start..<min(start + 256, m.count)
      let most = (range.map { abs(m[$0]) }.max() ?? 0, range.map { v[$0].squareRoot() }.max() ?? 0)
      let isZero = (most.0 < 0x1p-119, most.1 < 0x1p-119)
      first.1.append(isZero.0 ? 0 : most.0 / 1.875)
      second.1.append(isZero.1 ? 0 : most.1 / 1.9375)
      for i in range {
        let bits = random(i)
        let x = isZero.0 ? 0 : Double(abs(m[i]) * (1.875 / most.0))
        let code = Codes.rounded(x, Codes.first, share: (Double(bits >> 16) + 0.5) / 65536)
        first.0.append(UInt8(code) | (code > 0 && m[i] < 0 ? 128 : 0))
        let root = isZero.1 ? 0 : Double(v[i].squareRoot() * (1.9375 / most.1))
        let high = Codes.rounded(root, Codes.second, share: (Double(bits & 0xFFFF) + 0.5) / 65536)
        second.0.append(UInt8(v[i] > 0 ? max(high, 1) : 0))
      }
    }
    return (first, second)
  }

  /// What codes stand for.
  static func first(_ codes: [UInt8], _ scales: [Float]) -> [Float] {
    codes.indices.map { Float(Codes.first[Int(codes[$0] & 127)]) * scales[$0 / 256] * (codes[$0] > 127 ? -1 : 1) }
  }
  static func second(_ codes: [UInt8], _ scales: [Float]) -> [Float] {
    codes.indices.map {
      let root = Float(Codes.second[Int(codes[$0])]) * scales[$0 / 256]
      return root * root
    }
  }
}

@Suite("optimizers in short numbers") struct ShortOptimizerTests {
  private func power(_ base: Double, _ exponent: Int) -> Double {
    (0..<exponent).reduce(1) { value, _ in value * base }
  }

  /// Numbers whose magnitudes span the decades from 10⁻⁹ to 1, some of them 0.
  private func numbers(_ count: Int, seed: UInt64) -> [Float] {
    let stream = RandomStream(seed: seed, stream: 0)
    return (0..<count).map { i in
      let (sign, octaves) = (
        stream.uniform(2 * i, purpose: .initialization), stream.uniform(2 * i + 1, purpose: .token)
      )
      if octaves < 0.05 { return 0 }
      var value = Float(sign - 0.5)
      for _ in 0..<Int(octaves * 30) { value /= 2 }
      return value
    }
  }

  private func tensor(_ values: [Float]) throws -> Tensor<Engine> {
    try Tensor(values, shape: [values.count], on: HostDevice())
  }

  private func zeros(_ code: ShortNumbers.Code, _ count: Int) -> Tensor<Engine> {
    Tensor(
      shape: [count], storage: Engine.makeStorage(ShortNumbers(zeros: code, count: count), on: HostDevice()))
  }

  private func short(_ tensor: Tensor<Engine>) throws -> ShortNumbers {
    try #require(Engine.shortNumbers(of: tensor.storage))
  }

  private func settings(_ step: Int, stream: UInt64 = 7) -> AdamWSettings {
    AdamWSettings(learningRate: 1e-2, decay: 0.1, step: step, gradientFactor: 0.7, stream: stream)
  }

  @Test("the same bits as a plain twin", arguments: [1, 7, 255, 256, 257, 1000, 16_384, 40_001])
  func twin(count: Int) throws {
    let threads = ThreadCount.current
    defer { ThreadCount.current = threads }
    for used in [1, 2, 3] {
      ThreadCount.current = used
      var plain = PlainStep(
        w: numbers(count, seed: 1), m: [Float](repeating: 0, count: count), v: [Float](repeating: 0, count: count),
        settings: settings(1))
      var w = try tensor(plain.w)
      var (m, v) = (zeros(.firstMoment, count), zeros(.secondMoment, count))
      for step in 1...4 {
        let g = numbers(count, seed: UInt64(1 + step))
        plain = PlainStep(w: plain.w, m: plain.m, v: plain.v, settings: settings(step))
        plain.update(g, power: power)
        Engine.adamW(&w, gradient: try tensor(g), firstMoment: &m, secondMoment: &v, settings(step))
        // Powers of β may differ in the last bit, and so may the rate.
        let found = try w.scalars()
        #expect(zip(found, plain.w).allSatisfy { abs($0 - $1) <= 1e-6 * max(abs($1), 1e-2) })
        plain.w = found
        let (first, second) = plain.rounded()
        #expect(try short(m).bytes == first.0 && short(m).scales == first.1, "step \(step)")
        #expect(try short(v).bytes == second.0 && short(v).scales == second.1, "step \(step)")
        plain.m = PlainStep.first(first.0, first.1)
        plain.v = PlainStep.second(second.0, second.1)
        #expect(try m.scalars() == plain.m && v.scalars() == plain.v)
      }
    }
  }

  @Test("the means of m and of √v are exact, and v is never below what √v's mean gives")
  func unbiased() throws {
    let count = 512
    let g = numbers(count, seed: 3)
    var sums = (m: [Double](repeating: 0, count: count), root: [Double](repeating: 0, count: count))
    let trials = 4000
    for trial in 0..<trials {
      var w = try tensor(g)
      var (m, v) = (zeros(.firstMoment, count), zeros(.secondMoment, count))
      Engine.adamW(
        &w, gradient: try tensor(g), firstMoment: &m, secondMoment: &v, settings(1, stream: UInt64(trial)))
      for (i, value) in try m.scalars().enumerated() { sums.m[i] += Double(value) }
      for (i, value) in try v.scalars().enumerated() { sums.root[i] += Double(value).squareRoot() }
    }
    for block in 0..<2 {
      let range = 256 * block..<256 * block + 256
      let gradient = range.map { Double(g[$0]) * 0.7 }
      let most = gradient.map { abs($0) }.max() ?? 0
      for (i, x) in zip(range, gradient) {
        // A code is at most 1/8 of m, 1/16 of √v, or the least code, apart; the mean errs by half of that at most
        // divided by √4000 in a standard deviation, of which six are allowed; and by 2⁻¹⁷ of it, since 16 bits are used.
        let (m, root) = (0.1 * x, (0.05).squareRoot() * abs(x))
        let (leastM, leastRoot) = (
          0.1 * most * 1.125 / 0x1p15 / 1.875, (0.05).squareRoot() * most * 1.0625 / 0x1p15 / 1.9375
        )
        let spread = 6 / 2 / Double(trials).squareRoot() + 0x1p-16
        #expect(abs(sums.m[i] / Double(trials) - m) <= spread * max(abs(m) / 8, leastM) + 1e-6 * abs(m), "m \(i)")
        let mean = sums.root[i] / Double(trials)
        #expect(mean - root >= -spread * root / 16 - 1e-6 * root, "√v \(i)")
        if root >= leastRoot { #expect(mean - root <= spread * root / 16 + 1e-6 * root, "√v \(i)") }
        // Too small a v takes the least code; only 0 is 0.
        #expect((mean == 0) == (x == 0), "√v \(i)")
      }
    }
  }

  @Test("steps stay bounded where v spans decades, and moments decay when gradients vanish")
  func bounded() throws {
    let count = 2048
    var w = try tensor([Float](repeating: 0, count: count))
    var (m, v) = (zeros(.firstMoment, count), zeros(.secondMoment, count))
    // Magnitudes of each element stay the same from step to step; signs change.
    let size = numbers(count, seed: 5)
    for step in 1...100 {
      let signs = RandomStream(seed: UInt64(step), stream: 1)
      let g = size.enumerated().map { signs.uniform($0, purpose: .token) < 0.5 ? $1 : -$1 }
      let before = try w.scalars()
      Engine.adamW(
        &w, gradient: try tensor(g), firstMoment: &m, secondMoment: &v,
        AdamWSettings(learningRate: 1, decay: 0, step: step, stream: 1))
      // |m̂|/√v̂ is at most (1 − β₁)/√((1 − β₂)(1 − β₁²/β₂)) = 1.18 without rounding, and less in the first steps.
      let largest = zip(try w.scalars(), before).map { abs($0 - $1) }.max() ?? 0
      #expect(largest < 2, "step \(step): \(largest)")
    }
    let (first, second) = (try m.scalars(), try v.scalars())
    for step in 101...200 {
      Engine.adamW(
        &w, gradient: try tensor([Float](repeating: 0, count: count)), firstMoment: &m, secondMoment: &v,
        AdamWSettings(learningRate: 0, decay: 0, step: step, stream: 1))
    }
    // 0.9¹⁰⁰ = 2.7e-5 and 0.95¹⁰⁰ = 5.9e-3; the sums over all elements, whose errors mostly cancel.
    func total(_ values: [Float]) -> Double { values.reduce(0) { $0 + abs(Double($1)) } }
    let (restM, restV) = (total(try m.scalars()) / total(first), total(try v.scalars()) / total(second))
    #expect(restM < 4e-5 && restV > 4e-3 && restV < 8e-3, "\(restM), \(restV)")
  }

  @Test("a shared moment is copied before it changes")
  func copies() throws {
    let g = try tensor(numbers(300, seed: 3))
    var w = try tensor(numbers(300, seed: 1))
    var (m, v) = (zeros(.firstMoment, 300), zeros(.secondMoment, 300))
    Engine.adamW(&w, gradient: g, firstMoment: &m, secondMoment: &v, settings(1))
    let (kept, expected) = ((m, v), (try m.scalars(), try v.scalars()))
    Engine.adamW(&w, gradient: g, firstMoment: &m, secondMoment: &v, settings(2))
    #expect(try kept.0.scalars() == expected.0 && kept.1.scalars() == expected.1)
    #expect(try m.scalars() != expected.0)
    // Bytes and scales say everything.
    let again = ShortNumbers(.firstMoment, bytes: try short(m).bytes, scales: try short(m).scales)
    #expect(try again.values == m.scalars())
  }

  // MARK: Gradients

  /// bf16 by the definition: the nearer of the two neighbors, of two equally near ones the even.
  private func bf16(_ x: Float) -> Float {
    let low = Float(bitPattern: x.bitPattern & 0xFFFF_0000)
    let high = Float(bitPattern: (x.bitPattern & 0xFFFF_0000) &+ 0x1_0000)
    let (below, above) = (abs(Double(x) - Double(low)), abs(Double(high) - Double(x)))
    return below < above || (below == above && low.bitPattern >> 16 & 1 == 0) ? low : high
  }

  @Test("gradients add up in single precision and are rounded to nearest even", arguments: [1, 255, 4097, 40_001])
  func gradients(count: Int) throws {
    var sum: Tensor<Engine>?
    var expected = [Float](repeating: 0, count: count)
    for micro in 0..<4 {
      let g = numbers(count, seed: UInt64(micro))
      Engine.addRounded(try tensor(g), to: &sum)
      for i in g.indices { expected[i] = bf16(expected[i] + g[i]) }
      let found = try #require(sum)
      #expect(try found.scalars() == expected)
      #expect(Engine.sumOfSquares(found) == Engine.sumOfSquares(try tensor(expected)))
    }
    // A copy stays as it is.
    let copy = sum
    Engine.addRounded(try tensor([Float](repeating: 1, count: count)), to: &sum)
    #expect(try copy?.scalars() == expected && sum?.scalars() != expected)
    for wrong in [Float.nan, .infinity, -.infinity] {
      var g = expected
      g[count / 2] = wrong
      var sum: Tensor<Engine>?
      Engine.addRounded(try tensor(g), to: &sum)
      Engine.addRounded(try tensor(expected), to: &sum)
      #expect(!Engine.sumOfSquares(try #require(sum)).isFinite)
    }
  }

  @Test("a step on a bf16 gradient is a step on the numbers that it stands for", arguments: [255, 4096, 40_001])
  func stepOnGradient(count: Int) throws {
    var sum: Tensor<Engine>?
    Engine.addRounded(try tensor(numbers(count, seed: 2)), to: &sum)
    let short = try #require(sum)
    let full = try tensor(short.scalars())
    for isShort in [false, true] {
      let results = try [short, full].map { gradient in
        var w = try tensor(numbers(count, seed: 1))
        var m = isShort ? zeros(.firstMoment, count) : try tensor(numbers(count, seed: 3))
        var v = isShort ? zeros(.secondMoment, count) : try tensor(numbers(count, seed: 4).map { $0 * $0 })
        for step in 1...2 { Engine.adamW(&w, gradient: gradient, firstMoment: &m, secondMoment: &v, settings(step)) }
        return try [w.scalars(), m.scalars(), v.scalars()]
      }
      #expect(results[0] == results[1])
    }
  }

  @Test("an engine that forwards to one with short numbers has them too")
  func forwarded() throws {
    let g = numbers(5000, seed: 2)
    var sum: Tensor<Engine>?
    var mixed: Tensor<MixedCPU>?
    for _ in 0..<2 {
      Engine.addRounded(try tensor(g), to: &sum)
      MixedCPU.addRounded(try tensor(g).rewrapped(), to: &mixed)
    }
    #expect(try mixed?.scalars() == sum?.scalars())
    var (w, m, v) = (try tensor(g), zeros(.firstMoment, 5000), zeros(.secondMoment, 5000))
    var (w2, m2, v2): (Tensor<MixedCPU>, Tensor<MixedCPU>, Tensor<MixedCPU>) = (
      try tensor(g).rewrapped(), zeros(.firstMoment, 5000).rewrapped(), zeros(.secondMoment, 5000).rewrapped()
    )
    Engine.adamW(&w, gradient: try #require(sum), firstMoment: &m, secondMoment: &v, settings(1))
    MixedCPU.adamW(&w2, gradient: try #require(mixed), firstMoment: &m2, secondMoment: &v2, settings(1))
    #expect(try w.scalars() == w2.scalars() && m.scalars() == m2.scalars() && v.scalars() == v2.scalars())
    #expect(MixedCPU.shortNumbers(of: m2.storage) != nil && MixedCPU.shortNumbers(of: w2.storage) == nil)
  }
}
