// Initial weights keep their bits: digests of all weights of small models, recorded when streams were first derived
// from names. A change here changes every training started with a seed.

import MVAR
import MVARFiles
import MVARTraining
import TensorCore
import Testing

@Suite("initial weights keep their bits")
struct InitialWeightsTests {
  private typealias Engine = Reference<Float>

  /// SHA-256 of all weights, little-endian, in the order of the model's parameters.
  private func digest(_ parameters: [Parameter<Engine>]) throws -> String {
    var bytes: [UInt8] = []
    for parameter in parameters {
      for value in try parameter.value.scalars() {
        withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes += $0 }
      }
    }
    return SHA256.hexDigest(bytes)
  }

  @Test(
    "of a transformer",
    arguments: [
      (false, true, 46, "6acbba4305b4e3e0a75e49b1e8044d0ff642cca86ce6e1fb3ab08933e25dfd55"),
      (true, true, 45, "804db1f20a590003d8ddfba18ddf8b49255163a5039609a458c1e411a56f2367"),
      (false, false, 43, "ce65143bf12da3e1ae47643fa3808286891b73e527fb16fe68d254e567359216"),
    ])
  func transformer(sharesModulation: Bool, normalizesAttention: Bool, count: Int, expected: String) throws {
    let configuration = TransformerConfiguration(
      depth: 3, scaleList: try ScaleList([1, 2, 3, 4]), vocabulary: 37, codeWidth: 5, classes: 6, width: 16, heads: 4,
      sharesModulation: sharesModulation, normalizesAttention: normalizesAttention, window: 3, refineStep: 2)
    let model = try MarkovianTransformer<Engine>(
      configuration, InitialSource(gainFactor: 1e-3, seed: 3, on: HostDevice()), on: HostDevice())
    #expect(model.parameters.count == count)
    #expect(try digest(model.parameters) == expected)
  }

  @Test(
    "of a tokenizer",
    arguments: [
      (
        TokenizerConfiguration.PhiSharing.partial(2), 183,
        "8a4733806961dca92b268c5ff944f036bdbaec3ea0fc6ecca4f44902aa39242e"
      ),
      (.full, 181, "dcab1674524d0733769ed5bb11ad318de1cc51ed4b0d3be90f1a3111255eaa58"),
      (.none, 187, "320d8d7e2fbe9279895e9684b2960244c875a9ba8e5bd446718bf9f83c400c79"),
    ])
  func tokenizer(sharing: TokenizerConfiguration.PhiSharing, count: Int, expected: String) throws {
    let configuration = TokenizerConfiguration(
      vocabulary: 37, codeWidth: 5, channels: 32, multipliers: [1, 2], scaleList: try ScaleList([1, 2, 3, 4]),
      phiSharing: sharing)
    let model = try VQVAE<Engine>(
      configuration, InitialSource(seed: 3, on: HostDevice()), on: HostDevice())
    #expect(model.parameters.count == count)
    #expect(try digest(model.parameters) == expected)
  }
}
