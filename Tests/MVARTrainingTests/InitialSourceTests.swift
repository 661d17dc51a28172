// Initial weights against the published recipe: the standard deviation of every kind of weight, as far as the number of
// its values allows, the rows of AdaLN separately, constants, and that a weight depends only on the seed and its own
// name.

import Foundation
import MVAR
import MVARTestSupport
import TensorCore
import Testing

@Suite("first weights")
struct InitialSourceTests {
  private typealias Engine = Reference<Float>
  private let width = 64
  private let scaleList = try! ScaleList([1, 2, 3, 4])

  private func transformer(depth: Int = 3, shared: Bool = false, seed: UInt64 = 3, gain: Double = 1e-3) throws
    -> [String: [Float]]
  {
    let configuration = TransformerConfiguration(
      depth: depth, scaleList: scaleList, vocabulary: 128, codeWidth: 16, classes: 20, width: width, heads: 4,
      sharesModulation: shared, window: 3, refineStep: 2)
    let model = try MarkovianTransformer<Engine>(
      configuration, InitialSource(gainFactor: gain, seed: seed, on: HostDevice()), on: HostDevice())
    return try Dictionary(
      uniqueKeysWithValues: model.parameters.map {
        (CheckpointNames.key(of: $0.name, in: .transformer), try $0.value.scalars())
      })
  }

  /// Checks mean and deviation within five standard errors of normally distributed values.
  private func expectNormal(_ values: some Collection<Float>, _ deviation: Double, _ name: String) {
    let count = Double(values.count)
    let mean = values.reduce(0.0) { $0 + Double($1) } / count
    let found = (values.reduce(0.0) { $0 + pow(Double($1) - mean, 2) } / count).squareRoot()
    #expect(abs(mean) < 5 * deviation / count.squareRoot(), "\(name): mean \(mean), deviation \(deviation)")
    #expect(abs(found / deviation - 1) < 5 / (2 * count).squareRoot(), "\(name): \(found), recipe \(deviation)")
  }

  @Test("a transformer's weights have the published deviations", arguments: [false, true])
  func deviations(_ shared: Bool) throws {
    let weights = try transformer(shared: shared)
    let sigma = (1 / Double(3 * width)).squareRoot()
    let rows = 2 * width * width
    for (key, values) in weights {
      switch key {
      case _ where key.hasSuffix("bias"): #expect(values.allSatisfy { $0 == 0 }, "\(key)")
      case _ where key.hasSuffix("scale_mul_1H11"):
        #expect(values.allSatisfy { $0 == Float(log(4.0)) }, "\(key)")
      case "head.weight": expectNormal(values, 0.02 * sigma, key)
      case "head_nm.ada_lin.1.weight": expectNormal(values, 0.5 * sigma, key)
      case _ where key.hasSuffix("attn.proj.weight") || key.hasSuffix("ffn.fc2.weight"):
        expectNormal(values, sigma / (2.0 * 3).squareRoot(), key)
      case _ where key.hasSuffix(".ada_lin.1.weight"):
        expectNormal(values[..<rows], 1e-3 * sigma, "\(key), γ")
        expectNormal(values[rows...], 0.5 * sigma, "\(key), scale and shift")
      case _ where key.hasSuffix("ada_gss"):
        expectNormal(values[..<(2 * width)], 1e-3 / Double(width).squareRoot(), "\(key), γ")
        expectNormal(values[(2 * width)...], 0.5 / Double(width).squareRoot(), "\(key), scale and shift")
      default: expectNormal(values, sigma, key)
      }
    }
    #expect(weights.keys.contains("shared_ada_lin.1.weight") == shared)
  }

  @Test("the factor of γ is the one given")
  func gain() throws {
    let (small, large) = (try transformer(gain: 1e-5), try transformer(gain: 1e-3))
    let key = "blocks.1.ada_lin.1.weight"
    let rows = 2 * width * width
    let (few, many) = (try #require(small[key]), try #require(large[key]))
    #expect(few[rows...] == many[rows...])
    #expect(zip(few[..<rows], many[..<rows]).allSatisfy { abs($0 * 100 - $1) <= 1e-5 * abs($1) })
  }

  @Test("the same seed gives the same weights, another seed changes all that are sampled")
  func seeds() throws {
    let (first, same, other) = (try transformer(), try transformer(), try transformer(seed: 4))
    #expect(first == same)
    for (key, values) in first where !key.hasSuffix("bias") && !key.hasSuffix("scale_mul_1H11") {
      #expect(values != other[key], "\(key)")
    }
    let sampled = first.filter { !$0.key.hasSuffix("bias") && !$0.key.hasSuffix("scale_mul_1H11") }
    #expect(Set(sampled.values.map { $0[0] }).count == sampled.count)
  }

  @Test("a weight does not depend on what else the model has")
  func independent() throws {
    let (deep, shallow) = (try transformer(), try transformer(depth: 1))
    for (key, values) in shallow where !key.hasSuffix("attn.proj.weight") && !key.hasSuffix("ffn.fc2.weight") {
      #expect(deep[key] == values, "\(key)")
    }
  }

  @Test("a tokenizer's weights")
  func tokenizer() throws {
    let configuration = TokenizerConfiguration(
      vocabulary: 64, codeWidth: 16, channels: 32, multipliers: [1, 2], blocks: 1, scaleList: scaleList)
    let model = try VQVAE<Engine>(
      configuration, InitialSource(seed: 3, on: HostDevice()), on: HostDevice())
    for parameter in model.parameters {
      let key = CheckpointNames.key(of: parameter.name, in: .tokenizer)
      let values = try parameter.value.scalars()
      if key.contains("norm") {
        #expect(values.allSatisfy { $0 == (key.hasSuffix("weight") ? 1 : 0) }, "\(key)")
      } else if key.hasSuffix("bias") {
        #expect(values.allSatisfy { $0 == 0 }, "\(key)")
      } else {
        let fanIn = Double(parameter.value.shape.count / parameter.value.shape[0])
        let bound = key == "quantize.embedding.weight" ? 1.0 / 64 : 1 / fanIn.squareRoot()
        #expect(values.allSatisfy { abs(Double($0)) <= bound * 1.000001 }, "\(key)")
        #expect(values.contains { abs(Double($0)) > 0.95 * bound }, "\(key)")
        let deviation = (values.reduce(0.0) { $0 + Double($1 * $1) } / Double(values.count)).squareRoot()
        // Uniform values: √(4/5)·σ² is the deviation of a square, so 0.45/√n is the relative deviation of the root mean
        // square.
        let error = abs(deviation * 3.0.squareRoot() / bound - 1)
        #expect(error < 5 * 0.45 / Double(values.count).squareRoot(), "\(key): \(error)")
      }
    }
  }
}
