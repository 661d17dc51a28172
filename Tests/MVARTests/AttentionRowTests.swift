// The attention weights of single queries: multiplied with the values they give what the engine's attention gives, for
// dense scales and windows.

import MVAR
import MVARTestSupport
import TensorCore
import Testing

@Suite struct AttentionRowTests {
  @Test(arguments: [AttentionPattern.mvar, .scaleMarkov], [true, false])
  func `weights times values are the attention`(pattern: AttentionPattern, isNormalized: Bool) throws {
    typealias B = CPU<Double>
    let model = try TinyModels.transformer(
      B.self, on: HostDevice(), normalizesAttention: isNormalized, attention: pattern)
    let (scaleList, heads) = (model.configuration.scaleList, model.configuration.heads)
    let mask = AttentionMask(model.trajectory)
    var random = RandomValues(seed: 6)
    let condition = try model.condition(labels: [3])
    for scale in 0..<scaleList.count {
      let tokens = scaleList.tokens(of: scale)
      let inputs = try random.normal([1, tokens.count, 8]).tensor(B.self)
      var found: [String: Tensor<B>] = [:]
      let trace = Trace<B> { name, value in
        if case .tensor(let tensor) = value { found[name] = tensor }
      }
      _ = try model.logits(
        condition, inputs: scale == 0 ? nil : Variable(inputs), scales: scale..<scale + 1, trace: trace)
      for block in 0..<model.configuration.depth {
        let (q, k) = (try #require(found["blocks.\(block).q"]), try #require(found["blocks.\(block).k"]))
        let values = try #require(found["blocks.\(block).v"]).scalars()  // [1, N, H, c]
        let expected = try #require(found["blocks.\(block).attention"]).scalars()  // [1, N, H·c]
        let width = values.count / tokens.count / heads
        var rows: [[Double]] = []
        // Heads in another order, and one of them left out.
        try model.forEachAttentionRow(queries: q, keys: k, block: block, scale: scale, heads: [2, 0, 3]) {
          rows.append($0)
        }
        #expect(rows.count == 3 * tokens.count)
        for (index, head) in [2, 0, 3].enumerated() {
          for token in 0..<tokens.count {
            let row = rows[index * tokens.count + token]
            let keys = mask.keys(of: tokens.lowerBound + token).flatMap { $0 }.map { $0 - tokens.lowerBound }
            #expect(row.count == keys.count && abs(row.reduce(0, +) - 1) < 1e-12)
            for x in 0..<width {
              let sum = zip(row, keys).reduce(0) { $0 + $1.0 * values[($1.1 * heads + head) * width + x] }
              #expect(abs(sum - expected[(token * heads + head) * width + x]) < 1e-12)
            }
          }
        }
      }
    }
  }
}
