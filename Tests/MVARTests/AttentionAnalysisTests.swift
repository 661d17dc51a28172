// Which tokens see which and where queries attend, against masks and softmaxes computed here naively: an L × L table of
// booleans, and weights over all keys with −∞ where the table is false.

import MVAR
import MVARTestSupport
import TensorCore
import Testing

@Suite struct AttentionAnalysisTests {
  // MARK: The mask

  struct Case: Sendable, CustomTestStringConvertible {
    let sides: [Int]
    let window: Int
    let refineStep: Int
    var testDescription: String { "\(sides), window \(window) from scale \(refineStep)" }

    func trajectory(_ pattern: AttentionPattern) throws -> ScaleTrajectory {
      let configuration = TransformerConfiguration(
        depth: 1, scaleList: try ScaleList(sides), attention: pattern, window: window, refineStep: refineStep)
      try configuration.validate()
      return ScaleTrajectory(configuration)
    }
  }

  /// Odd and even windows, windows of one token and as large as the map, equal adjacent sides, no windows, only
  /// windows.
  static let cases = [
    Case(sides: [1, 2, 3, 4], window: 3, refineStep: 2), Case(sides: [1, 2, 5], window: 2, refineStep: 1),
    Case(sides: [1, 3, 3, 6], window: 1, refineStep: 0), Case(sides: [1, 2, 4], window: 4, refineStep: 2),
    Case(sides: [1, 2, 3], window: 7, refineStep: 3), Case(sides: [1, 4, 7], window: 4, refineStep: 1),
  ]

  /// The mask computed naively, [L][L].
  static func table(_ item: Case, _ pattern: AttentionPattern) -> [[Bool]] {
    let places = item.sides.enumerated().flatMap { scale, side in
      (0..<side * side).map { (scale: scale, row: $0 / side, column: $0 % side) }
    }
    func isNear(_ query: Int, _ key: Int, side: Int) -> Bool {
      var first = query - item.window / 2
      if first > side - item.window { first = side - item.window }
      if first < 0 { first = 0 }
      return key >= first && key < first + item.window
    }
    return places.map { query in
      places.map { key in
        if pattern == .blockCausal { return key.scale <= query.scale }
        guard key.scale == query.scale else { return false }
        if pattern == .scaleMarkov || query.scale < item.refineStep { return true }
        let side = item.sides[query.scale]
        return isNear(query.row, key.row, side: side) && isNear(query.column, key.column, side: side)
      }
    }
  }

  @Test(arguments: AttentionAnalysisTests.cases, AttentionPattern.allCases)
  func `a row holds the keys that the long way finds`(item: Case, pattern: AttentionPattern) throws {
    let mask = AttentionMask(try item.trajectory(pattern))
    let table = Self.table(item, pattern)
    #expect(table.count == mask.trajectory.scaleList.length)
    for (token, row) in table.enumerated() {
      let runs = mask.keys(of: token)
      #expect(zip(runs, runs.dropFirst()).allSatisfy { $0.upperBound <= $1.lowerBound })
      let keys: [Int] = runs.flatMap { $0 }
      #expect(keys == row.indices.filter { row[$0] }, "token \(token)")
      #expect(mask.trajectory.scaleList.tokens(of: mask.scale(of: token)).contains(token))
    }
    #expect(mask.pairCount == table.reduce(0) { $0 + $1.count { $0 } })
  }

  @Test func `pairs are tokens times keys per query`() throws {
    // 256 pixels: 16 371 of scales 0–7, and windows of 49; all of scales 8 and 9; all earlier scales too.
    let expected = [(AttentionPattern.mvar, 37_196), (.scaleMarkov, 110_468), (.blockCausal, 286_434)]
    for (pattern, pairs) in expected {
      let mask = AttentionMask(ScaleTrajectory(TransformerConfiguration(depth: 1, attention: pattern)))
      #expect(mask.pairCount == pairs)
    }
    for scaleList in ScaleList.published {
      for pattern in AttentionPattern.allCases {
        let trajectory = ScaleTrajectory(TransformerConfiguration(depth: 1, scaleList: scaleList, attention: pattern))
        let mask = AttentionMask(trajectory)
        let runs = (0..<scaleList.length).reduce(0) { sum, token in
          sum + mask.keys(of: token).reduce(0) { $0 + $1.count }
        }
        let product = (0..<scaleList.count).reduce(0) {
          $0 + scaleList.tokens(of: $1).count * trajectory.keysPerQuery(of: $1)
        }
        #expect(mask.pairCount == product && runs == product)
        #expect(mask.possiblePairCount == scaleList.length * scaleList.length)
      }
    }
  }

  @Test(arguments: AttentionAnalysisTests.cases, AttentionPattern.allCases)
  func `the raster is the mask, or its mean over areas`(item: Case, pattern: AttentionPattern) throws {
    let mask = AttentionMask(try item.trajectory(pattern))
    let table = Self.table(item, pattern)
    let length = table.count
    // One cell or two per token, and no rounding.
    for factor in 1...2 {
      let side = factor * length
      let expected = (0..<side * side).map { table[$0 / side / factor][$0 % side / factor] ? 1.0 : 0 }
      #expect(mask.coverage(side: side) == expected)
    }
    for side in [1, 5, length - 1, length + 3] {
      let shares = mask.coverage(side: side)
      #expect(shares.count == side * side && shares.allSatisfy { $0 >= 0 && $0 < 1 + 1e-12 })
      let mean = shares.reduce(0, +) / Double(side * side)
      #expect(abs(mean - Double(mask.pairCount) / Double(length * length)) < 1e-12)
    }
  }

  // MARK: Statistics

  /// The expected statistics, computed naively.
  private struct Expected {
    var weights: [[Double]]
    var queries: [Double]
    var near: [[Double]]
    var pairs: [[Double]]
  }

  /// All blocks of a tiny model, run by run, with the scaled logits of all keys and −∞ where the mask is false.
  private func longWay(
    _ model: MarkovianTransformer<CPU<Double>>, labels: [Int], inputs: Tensor<CPU<Double>>, softmaxScale: Double
  ) throws -> Expected {
    let (scaleList, pattern) = (model.configuration.scaleList, model.trajectory.pattern)
    let item = Case(
      sides: scaleList.sides, window: model.trajectory.window, refineStep: model.trajectory.refineStep)
    let table = Self.table(item, pattern)
    let count = scaleList.count
    var result = Expected(
      weights: [[Double]](repeating: [Double](repeating: 0, count: count), count: count),
      queries: [Double](repeating: 0, count: count),
      near: scaleList.sides.map { [Double](repeating: 0, count: $0) },
      pairs: scaleList.sides.map { [Double](repeating: 0, count: $0) })
    let levels = (0..<count).flatMap { scale in scaleList.tokens(of: scale).map { _ in scale } }
    let condition = model.condition(labels: try Indices(labels, shape: [labels.count], on: HostDevice()))
    for run in model.trajectory.independentRuns {
      var blocks: [VariableHeads<CPU<Double>>] = []
      let part = CPU.slice(inputs, axis: 1, model.trajectory.inputRows(of: run))
      _ = try model.logits(
        condition, inputs: Variable(part), scales: run,
        observe: { block, heads in
          #expect(block == blocks.count)
          blocks.append(heads)
        })
      #expect(blocks.count == model.configuration.depth)
      let tokens = scaleList.tokens(of: run)
      for heads in blocks {
        let shape = heads.queries.shape  // [B, N, H, c]; here keys have the same shape
        #expect(heads.keys.shape == shape)
        let (q, k) = (try heads.queries.value.scalars(), try heads.keys.value.scalars())
        for image in 0..<shape[0] {
          for head in 0..<shape[2] {
            for query in tokens {
              let scale = levels[query]
              func place(_ token: Int, _ x: Int) -> Int {
                ((image * shape[1] + token - tokens.lowerBound) * shape[2] + head) * shape[3] + x
              }
              let logits = tokens.map { key -> Double in
                guard table[query][key] else { return -Double.infinity }
                return softmaxScale * (0..<shape[3]).reduce(0.0) { $0 + q[place(query, $1)] * k[place(key, $1)] }
              }
              let exponentials = logits.map { Double.exponential($0) }
              let sum = exponentials.reduce(0, +)
              result.queries[scale] += 1
              for (index, key) in tokens.enumerated() where table[query][key] {
                let weight = exponentials[index] / sum
                result.weights[scale][levels[key]] += weight
                guard levels[key] == scale else { continue }
                let (side, first) = (scaleList.sides[scale], scaleList.tokens(of: scale).lowerBound)
                let rows = abs((query - first) / side - (key - first) / side)
                let columns = abs((query - first) % side - (key - first) % side)
                result.near[scale][max(rows, columns)] += weight
                result.pairs[scale][max(rows, columns)] += 1
              }
            }
          }
        }
      }
    }
    return result
  }

  @Test(arguments: AttentionPattern.allCases, [true, false])
  func `statistics are those of the long way`(pattern: AttentionPattern, isNormalized: Bool) throws {
    let model = try TinyModels.transformer(
      CPU<Double>.self, on: HostDevice(), normalizesAttention: isNormalized, attention: pattern)
    var random = RandomValues(seed: 31)
    let inputs = try random.normal([2, 29, 8]).tensor(CPU<Double>.self)
    let labels = [2, 5]
    var statistics = AttentionStatistics(model.trajectory)
    try statistics.add(model, labels: labels, inputs: inputs)
    // Heads of width 8: ¼/√8 where queries and keys are not normalized.
    let expected = try longWay(
      model, labels: labels, inputs: inputs, softmaxScale: isNormalized ? 1 : 0.25 / 8.0.squareRoot())
    let scaleList = model.configuration.scaleList
    // Sums of at most 10⁴ terms of order 1 in another order.
    let tolerance = Tolerance(absolute: 1e-13, relative: 1e-12)
    for scale in 0..<scaleList.count {
      // 2 images, 2 blocks, 4 heads
      #expect(statistics.queryCounts[scale] == scaleList.tokens(of: scale).count * 16)
      #expect(Double(statistics.queryCounts[scale]) == expected.queries[scale])
      let shares = (0..<scaleList.count).map { statistics.share(from: scale, on: $0) }
      #expect(abs(shares.reduce(0, +) - 1) < 1e-13)
      #expect(abs(statistics.share(from: scale, on: 0..<scaleList.count) - 1) < 1e-13)
      expectClose(shares, expected.weights[scale].map { $0 / expected.queries[scale] }, tolerance, "shares of \(scale)")
      let (near, pairs) = (expected.near[scale], expected.pairs[scale])
      let even = near.reduce(0, +) / pairs.reduce(0, +)
      var moments = (distance: 0.0, evenDistance: 0.0)
      for distance in near.indices {
        let found = statistics.relativeWeight(of: scale, at: distance)
        #expect((found == nil) == (pairs[distance] == 0))
        let wanted = pairs[distance] == 0 ? 0 : near[distance] / pairs[distance] / even
        expectClose([found ?? 0], [wanted], tolerance, "scale \(scale) at \(distance)")
        moments.distance += Double(distance) * near[distance] / near.reduce(0, +)
        moments.evenDistance += Double(distance) * pairs[distance] / pairs.reduce(0, +)
      }
      expectClose(
        [statistics.meanDistance(of: scale), statistics.evenDistance(of: scale)],
        [moments.distance, moments.evenDistance], tolerance, "distances of \(scale)")
    }
    #expect(statistics.isFinite)
    if pattern != .blockCausal { #expect(statistics.share(from: 3, on: 0..<3) == 0) }
  }

  @Test(arguments: AttentionPattern.allCases)
  func `queries of zeros look evenly at all they see`(pattern: AttentionPattern) throws {
    let item = Case(sides: [1, 2, 5, 6], window: 3, refineStep: 2)
    let trajectory = try item.trajectory(pattern)
    let scaleList = trajectory.scaleList
    var statistics = AttentionStatistics(trajectory)
    #expect(statistics.share(from: 1, on: 1) == 0 && statistics.relativeWeight(of: 1, at: 0) == nil)
    var random = RandomValues(seed: 5)
    for run in trajectory.independentRuns {
      let shape: Shape = [3, scaleList.tokens(of: run).count, 2, 5]
      let keys = Variable(try random.normal(shape).tensor(CPU<Float>.self))
      let zeros = Variable(Tensor<CPU<Float>>(repeating: 0, shape: shape, on: HostDevice()))
      try statistics.add(VariableHeads(queries: zeros, keys: keys, values: keys), softmaxScale: 1, scales: run)
    }
    for scale in 0..<scaleList.count {
      for key in trajectory.visibleScales(from: scale) {
        let even =
          key == scale && !pattern.seesEarlierScales
          ? 1 : Double(scaleList.tokens(of: key).count) / Double(trajectory.keysPerQuery(of: scale))
        #expect(abs(statistics.share(from: scale, on: key) - even) < 1e-13)
      }
      for distance in 0..<scaleList.sides[scale] {
        if let weight = statistics.relativeWeight(of: scale, at: distance) { #expect(abs(weight - 1) < 1e-12) }
      }
      // A window of 3 shifted inward at the border reaches a distance of 2 tokens.
      let farthest = statistics.relativeWeight(of: scale, at: scaleList.sides[scale] - 1)
      #expect((farthest == nil) == trajectory.isWindowed(scale))
      #expect(abs(statistics.meanDistance(of: scale) - statistics.evenDistance(of: scale)) < 1e-12)
    }
  }

  @Test func `scale by scale with a cache gives the same as all scales at once`() throws {
    let model = try TinyModels.transformer(CPU<Double>.self, on: HostDevice(), attention: .blockCausal)
    let scaleList = model.configuration.scaleList
    var random = RandomValues(seed: 8)
    let inputs = try random.normal([1, 29, 8]).tensor(CPU<Double>.self)
    var together = AttentionStatistics(model.trajectory)
    try together.add(model, labels: [4], inputs: inputs)
    let condition = model.condition(labels: try Indices([4], shape: [1], on: HostDevice()))
    let cache = KeyValueCache<CPU<Double>>(depth: model.configuration.depth)
    var blocks: [(scale: Int, heads: VariableHeads<CPU<Double>>)] = []
    for scale in 0..<scaleList.count {
      let scales = scale..<scale + 1
      let part = CPU.slice(inputs, axis: 1, model.trajectory.inputRows(of: scales))
      _ = try model.logits(
        condition, inputs: Variable(part), scales: scales, cache: cache,
        observe: { _, heads in blocks.append((scale, heads)) })
    }
    var alone = AttentionStatistics(model.trajectory)
    for (scale, heads) in blocks { try alone.add(heads, softmaxScale: 1, scales: scale..<scale + 1) }
    for scale in 0..<scaleList.count {
      for key in 0..<scaleList.count {
        #expect(abs(alone.share(from: scale, on: key) - together.share(from: scale, on: key)) < 1e-12)
      }
      #expect(abs(alone.meanDistance(of: scale) - together.meanDistance(of: scale)) < 1e-12)
    }
  }
}
