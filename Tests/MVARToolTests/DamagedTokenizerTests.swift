// Tokenizers whose weights are NaN, on the way from images to tokens: the search for the nearest code must handle them,
// and no file may be produced.

import Foundation
import MVAR
import MVARCheckpoints
import MVARTestSupport
import Testing

@Suite("Damaged tokenizers")
struct DamagedTokenizerTests {
  @Test(
    "weights that are not numbers",
    arguments: ["encoder.conv_in.bias", "quantize.embedding.weight", "quant_conv.bias"], ["encode", "reconstruct"])
  func notNumbers(_ key: String, _ command: String) throws {
    try withTemporaryFolder { folder in
      try BadFiles.tokenizer("\(folder)/bad.safetensors") {
        try BadFiles.replace(key, in: &$0) {
          try StoredTensor([Float](repeating: .nan, count: $0.count), shape: $0.shape)
        }
      }
      let output = command == "encode" ? "out.npz" : "out.png"
      let result = try Tool.run(
        [command, Fixtures.path("photos/coffee.png"), "--tokenizer", "bad.safetensors", "-o", output] + Tool.scales,
        in: folder)
      #expect(!result.wasKilled)
      #expect(result.code == 1)
      #expect(
        result.errors == "mvar: bad.safetensors: the tokenizer's output is not made of finite numbers: its weights "
          + "are damaged or do not fit\n")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["bad.safetensors"])
    }
  }
}
