// `--precision bf16` and `int8` on the cpu engine, and the files that `mvar convert --to` makes for them, with the built
// program.

import Foundation
import MVAR
import MVARCheckpoints
import MVARTestSupport
import MVARTraining
import TensorCore
import Testing

@Suite("Precision on the cpu engine")
struct PrecisionCommandTests {
  private func succeed(_ arguments: [String], in folder: String) throws -> Tool.Result {
    let result = try Tool.run(arguments, in: folder)
    #expect(result.code == 0 && !result.wasKilled, "\(arguments): \(result.errors)")
    return result
  }

  /// The tokens that a run samples.
  private func tokens(_ more: [String], model: String? = nil, in folder: String) throws -> [UInt8] {
    _ = try succeed(
      Tool.sample(model: model, ["--class", "1", "--count", "5", "--tokens", "t.npz"] + more), in: folder)
    return try [UInt8](Data(contentsOf: URL(filePath: "\(folder)/t.npz")))
  }

  @Test(arguments: ["bf16", "int8"])
  func tokensDependOnNeitherBatchNorThreads(_ precision: String) throws {
    try withTemporaryFolder { folder in
      let options = ["--precision", precision]
      let all = try tokens(options, in: folder)
      #expect(try tokens(options + ["--batch", "1", "--threads", "1"], in: folder) == all)
      #expect(try tokens(options + ["--batch", "3", "--threads", "3"], in: folder) == all)
      #expect(try tokens(["--precision", "float32"], in: folder) == tokens([], in: folder))
    }
  }

  @Test(arguments: ["bf16", "int8"])
  func convertedFilesSampleTheSame(_ precision: String) throws {
    try withTemporaryFolder { folder in
      let all = try tokens(["--precision", precision], in: folder)
      _ = try succeed(["convert", Tool.model, "short.safetensors", "--to", precision], in: folder)
      #expect(try tokens(["--precision", precision], model: "short.safetensors", in: folder) == all)
      let report = try succeed(["inspect", "short.safetensors"] + Tool.hints, in: folder).output
      let layers = try #require(report.split(separator: "\n").first { $0.contains("linear layers") })
      #expect(layers.hasSuffix(", used in place with --precision \(precision)"), "\(report)")
      #expect(layers.contains("int8 × 4") == (precision == "int8") && layers.contains("bfloat16 × "), "\(report)")
      for line in ["missing", "misshapen", "unexpected"] {
        let words = report.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        #expect(words.contains([line, "none"]), "\(report)")
      }
      // Converting what is short already changes nothing.
      _ = try succeed(["convert", "short.safetensors", "again.safetensors", "--to", precision], in: folder)
      #expect(
        try Data(contentsOf: URL(filePath: "\(folder)/again.safetensors"))
          == Data(contentsOf: URL(filePath: "\(folder)/short.safetensors")))
      // Every engine reads it, as the numbers that it stands for.
      let wide = try tokens([], model: "short.safetensors", in: folder)
      #expect(try tokens(["--device", "reference"], model: "short.safetensors", in: folder) == wide)
    }
  }

  @Test func halfAndQuarter() throws {
    try withTemporaryFolder { folder in
      let file = Fixtures.path("emoji/transformer.safetensors")
      func size(_ name: String) throws -> Double {
        Double(try Data(contentsOf: URL(filePath: "\(folder)/\(name).safetensors")).count)
      }
      _ = try succeed(["convert", file, "full.safetensors", "--dtype", "float32"], in: folder)
      for type in ["bf16", "int8"] {
        _ = try succeed(["convert", "full.safetensors", "\(type).safetensors", "--to", type], in: folder)
      }
      // Positions and tables stay as they are.
      #expect(try size("bf16") < 0.6 * size("full"))
      #expect(try size("int8") < 0.4 * size("full"))
    }
  }

  @Test(arguments: [
    (
      ["train", "--data", "absent", "--tokenizer", "absent", "-o", "r"], "int8",
      "rounding to integers has no gradient, so that nothing could be learned; use bf16"
    ),
    (["train-tokenizer", "--data", "absent", "-o", "r"], "bf16", "a tokenizer has no linear layers"),
    (["encode", "absent.png", "-o", "out.npz"], "bf16", "a tokenizer has no linear layers"),
    (["decode", "absent.npz", "-o", "out.png"], "int8", "a tokenizer has no linear layers"),
    (["reconstruct", "absent.png", "-o", "out.png"], "bf16", "a tokenizer has no linear layers"),
    (["verify", "absent"], "int8", "golden values are judged by what float32 can reach"),
    (["compare"], "bf16", "it measures what attention costs, in float32"),
  ])
  func refused(_ command: [String], _ precision: String, _ reason: String) throws {
    try withTemporaryFolder { folder in
      let result = try Tool.run(command + ["--precision", precision], in: folder)
      #expect(result.code == 64 && result.output.isEmpty)
      #expect(
        result.errors.hasPrefix("mvar: --precision \(precision) is not for this command: \(reason)"),
        "\(result.errors)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
  }

  @Test func mistakesInFiles() throws {
    try withTemporaryFolder { folder in
      func fail(_ arguments: [String], _ sentence: String, code: Int32 = 1) throws {
        let result = try Tool.run(arguments, in: folder)
        #expect(result.code == code && result.errors == "mvar: \(sentence)\n", "\(arguments): \(result.errors)")
      }
      try fail(
        ["convert", Tool.model, "a.pth", "--to", "int8"],
        "--to int8 writes safetensors, which are used in place; name OUT.safetensors", code: 64)
      try fail(
        ["convert", Tool.model, "a.safetensors", "--to", "int8", "--dtype", "float16"],
        "--to and --dtype exclude each other; use one of them", code: 64)
      try fail(
        ["convert", Tool.tokenizer, "a.safetensors", "--to", "bf16"],
        "\(Tool.tokenizer): holds no transformer; --to is for the weights of its linear layers")
      _ = try succeed(["convert", Tool.model, "int8.safetensors", "--to", "int8"], in: folder)
      let weights = try CheckpointWeights(path: "\(folder)/int8.safetensors", .transformer).tensors
      let key = "blocks.0.ffn.fc1.weight"
      let scales = key + "_scale"
      let rows = try #require(weights.first { $0.name == scales }?.tensor.shape.first)
      try SafetensorsWriter.write(weights.filter { $0.name != scales }, to: "\(folder)/bare.safetensors")
      let three = try StoredTensor([Float](repeating: 1, count: 3), shape: [3])
      try SafetensorsWriter.write(
        weights.map { ($0.name, $0.name == scales ? three : $0.tensor) }, to: "\(folder)/few.safetensors")
      for more in [["--precision", "int8"], ["--precision", "bf16"], [], ["--device", "reference"]] {
        try fail(
          Tool.sample(model: "bare.safetensors", ["--tokens", "t.npz"] + more),
          "bare.safetensors: \(key) holds int8 numbers, but \(scales), their scales, is missing")
        try fail(
          Tool.sample(model: "few.safetensors", ["--tokens", "t.npz"] + more),
          "few.safetensors: \(scales) must be \(rows) floating-point numbers, one for each row of \(key)")
      }
      let report = try succeed(["inspect", "bare.safetensors"] + Tool.hints, in: folder).output
      #expect(report.contains("\(key) holds int8 numbers, but \(scales), their scales, is missing\n"), "\(report)")
      let other = try succeed(["inspect", "few.safetensors"] + Tool.hints, in: folder).output
      #expect(
        other.contains("\(scales) must be \(rows) floating-point numbers, one for each row of \(key)\n"), "\(other)")
    }
  }

  /// Training in bf16 learns as in float32, and resumes in bf16 only.
  @Test func training() throws {
    try withTemporaryFolder { folder in
      let options = [
        "train", "--data", Fixtures.path("emoji"), "--tokenizer", Fixtures.path("emoji/tokenizer.safetensors"),
        "--depth", "2", "--width", "64", "--heads", "2", "--shared-aln", "--batch", "8", "--steps", "6", "-o", "run",
      ]
      _ = try succeed(options + ["--precision", "bf16"], in: folder)
      let metrics = try String(contentsOfFile: "\(folder)/run/metrics.jsonl", encoding: .utf8)
      #expect(metrics.split(separator: "\n").count >= 6 && !metrics.contains("nan"))
      let other = try Tool.run(options + ["--resume"], in: folder)
      #expect(other.code == 1 && other.errors.contains("--precision"), "\(other.errors)")
      _ = try succeed(options + ["--resume", "--precision", "bf16"], in: folder)
    }
  }

  /// The shipped model on images that it has not seen: what rounding costs, in nats a token.
  @Test func heldOutImages() throws {
    let codes: VQVAE<CPU<Float>> = try ModelSource.file(Fixtures.path("emoji/tokenizer.safetensors"))
      .tokenizer(on: HostDevice())
    let images = try LabeledImages(path: Fixtures.path("emoji"), side: 64)
    let part = (0..<48).map { images.validation[$0 * 171 / 48] }
    let batch = try Tensor<CPU<Float>>(
      part.flatMap { $0.image.planarFloats() }, shape: [48, 3, 64, 64], on: HostDevice())
    let tokens = try TokenBatch(codes, images: batch, labels: part.map(\.label))
    func loss(_ weights: WeightFormat) throws -> Double {
      let model: MarkovianTransformer<CPU<Float>> = try ModelSource.file(
        Fixtures.path("emoji/transformer.safetensors")
      ).transformer(on: HostDevice(weights: weights))
      var sums = ValidationSums(scales: 10)
      try TransformerTrainer(model).validate(tokens, into: &sums)
      return sums.loss(of: 0..<10)
    }
    let exact = try loss(.float32)
    let (bf16, int8) = (try loss(.bf16), try loss(.int8))
    // bf16 +0.0001 and int8 +0.002 were measured.
    #expect(abs(bf16 - exact) < 0.002, "bf16 \(bf16), float32 \(exact)")
    #expect(abs(int8 - exact) < 0.01, "int8 \(int8), float32 \(exact)")
  }
}
