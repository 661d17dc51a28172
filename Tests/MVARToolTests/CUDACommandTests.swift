// Commands with `--device cuda` on an emulated GPU: the emulator is loaded as a library in place of NVIDIA's driver and
// compiler, so the program is the one that users have. Also what every command reports first when there is no GPU.

import Foundation
import MVARMedia
import MVARTestSupport
import TensorCore
import Testing

@Suite struct CUDACommandTests {
  /// The emulator, which is located beside the program.
  static let library: String = {
    #if os(macOS)
      let name = "libcuda-emulator.dylib"
    #else
      let name = "libcuda-emulator.so"
    #endif
    return URL(filePath: Tool.program).deletingLastPathComponent().appending(path: name).path(percentEncoded: false)
  }()

  /// Runs the program with CUDA libraries.
  private static func run(
    _ arguments: [String], in folder: String = "/", library: String = library, cuBLAS: String = library
  ) throws -> Tool.Result {
    let words = arguments.map { "'\($0)'" }.joined(separator: " ")
    return try Tool.shell(
      "MVAR_CUDA_DRIVER='\(library)' MVAR_NVRTC='\(library)' MVAR_CUBLAS='\(cuBLAS)' MVAR_NCCL='\(library)' "
        + "MVAR_CUDA_CACHE= \"$MVAR\" \(words)", in: folder)
  }

  @Test func isFound() throws {
    let result = try Self.run(["devices"])
    #expect(result.code == 0 && result.output.contains("device 0  CUDA emulator, compute capability 8.9"))
    #expect(result.output.contains("cuBLAS    \(Self.library), version 13.0"))
    #expect(result.output.contains("NCCL      \(Self.library), version 2.99.0"))
  }

  @Test func sampleGivesTheSameTokens() throws {
    try withTemporaryFolder { folder in
      let engines = [
        ["--device", "cpu"], ["--device", "cuda"], ["--device", "cuda", "--products", "cublas"],
        ["--device", "cuda", "--graphs", "--batch", "1"],
      ]
      let files = try engines.map { engine in
        let result = try Self.run(
          Tool.sample(["--class", "1", "--count", "4", "--tokens", "tokens.npz"] + engine), in: folder)
        #expect(result.code == 0, "\(result.errors)")
        #expect(result.errors.contains(", on the GPU ") == engine.contains("cuda"))
        return try Data(contentsOf: URL(filePath: "\(folder)/tokens.npz"))
      }
      #expect(files.allSatisfy { $0 == files[0] })
    }
  }

  @Test func noCuBLAS() throws {
    let absent = "/nowhere/libcublas.so"
    let result = try Self.run(["verify", "absent", "--device", "cuda", "--products", "cublas"], cuBLAS: absent)
    #expect(result.code == 2 && result.output.isEmpty)
    #expect(
      result.errors == "mvar: --device cuda: cuBLAS could not be loaded; tried \(absent) "
        + "(cannot open shared object file: No such file or directory)\n")
    // Nothing needs it unless it is requested.
    let own = try Self.run(
      ["verify", Fixtures.path("golden/ops.safetensors"), "--device", "cuda", "--products", "own", "--summary"],
      cuBLAS: absent)
    #expect(own.code == 0, "\(own.errors)")
  }

  @Test func verifyPassesItsEngineOn() throws {
    let file = Fixtures.path("golden/ops.safetensors")
    let single = try Self.run(["verify", file, "--device", "cuda", "--quiet"])
    #expect(single.code == 0, "\(single.output)")
    let half = try Self.run(["verify", file, "--device", "cuda", "--precision", "bf16", "--quiet"])
    // Products in bf16 do not meet the tolerances of single precision; nothing else changes.
    #expect(half.code == 1 && half.output.contains("FAIL  linear.out"))
    #expect(!half.output.contains("FAIL  softmax"))
  }

  @Test func compareMeasuresTheDevice() throws {
    try withTemporaryFolder { folder in
      let result = try Self.run(
        ["compare", "--model", Tool.model, "--batch", "1", "--rounds", "1", "--device", "cuda", "--json", "out.json"]
          + Tool.hints, in: folder)
      #expect(result.code == 0, "\(result.errors)")
      #expect(result.output.hasPrefix("| batch |") && result.output.contains(" | process |\n"))
      let measurements = try JSONDecoder().decode(
        [Measurement].self, from: Data(contentsOf: URL(filePath: "\(folder)/out.json")))
      #expect(measurements.count == 3)
      for measurement in measurements {
        // The weights are already on the device when sampling begins.
        #expect(measurement.deviceBefore >= measurement.weights && measurement.devicePeak > measurement.deviceBefore)
      }
    }
  }

  private struct Measurement: Decodable {
    let weights: Int
    let deviceBefore: Int
    let devicePeak: Int
  }

  /// From images to a tokenizer, a transformer, and what can be done with them.
  @Test func everyOtherCommand() throws {
    try withTemporaryFolder { folder in
      try writeImages(folder)
      let data = ["--data", "data", "--held-out", "2"]
      let tokenizer = ["--tokenizer", "tokenizer/tokenizer.safetensors"]
      let model = ["--model", "transformer/transformer.safetensors"]
      let training = ["--batch", "2", "--steps", "2", "--validate-every", "2", "--picture-every", "0"]
      let first = "data/a/0.png"
      for arguments in [
        ["train-tokenizer", "--ch", "32", "--multipliers", "1,2", "--blocks", "1", "--vocabulary", "32"]
          + ["--code-width", "8", "--patch-nums", "1,2,4,8", "-o", "tokenizer"] + data + training,
        ["train", "--depth", "2", "--width", "32", "--heads", "2", "--window", "3", "--refine-step", "3"]
          + ["-o", "transformer"] + data + tokenizer + training,
        ["cache", "-o", "cache"] + data + tokenizer,
        ["encode", first, "-o", "tokens.npz"] + tokenizer,
        ["decode", "tokens.npz", "-o", "decoded.png"] + tokenizer,
        ["reconstruct", first, "-o", "reconstructed.png"] + tokenizer,
        ["sample", "--count", "1", "-o", "sampled.png", "--smooth", "--scales"] + model + tokenizer,
        [
          "edit", first, "--extend", "0,0,0,50%", "--count", "2", "--tokens", "edited.npz", "-o", "edited.png",
          "--graphs",
        ]
          + model + tokenizer,
        ["attention", "--count", "2", "-o", "attention.svg"] + data + model + tokenizer,
        ["evaluate", "--json", "report.json", "--graphs"] + data + tokenizer,
      ] {
        let result = try Self.run(arguments + ["--device", "cuda"], in: folder)
        #expect(result.code == 0, "\(arguments[0]): \(result.errors)")
      }
      // The same first step as on the processor.
      let host = try Tool.run(
        ["train", "--depth", "2", "--width", "32", "--heads", "2", "--window", "3", "--refine-step", "3"]
          + ["-o", "host"] + data + tokenizer + training, in: folder)
      #expect(host.code == 0, "\(host.errors)")
      let losses = try ["transformer", "host"].map { try firstLoss("\(folder)/\($0)/metrics.jsonl") }
      #expect(abs(losses[0] - losses[1]) < 1e-5 * losses[1])
    }
  }

  /// Two classes of four small noise images each, in `data`.
  private func writeImages(_ folder: String) throws {
    for (label, name) in ["a", "b"].enumerated() {
      try FileManager.default.createDirectory(atPath: "\(folder)/data/\(name)", withIntermediateDirectories: true)
      for number in 0..<4 {
        let stream = RandomStream(seed: UInt64(label), stream: UInt64(number))
        let pixels = (0..<16 * 16 * 3).map { UInt8(255 * stream.uniform($0, purpose: .initialization)) }
        try PixelImage(width: 16, height: 16, pixels: pixels).writePNG(to: "\(folder)/data/\(name)/\(number).png")
      }
    }
  }

  private func firstLoss(_ metrics: String) throws -> Double {
    struct Step: Decodable { let loss: Double }
    let line = try #require(String(contentsOfFile: metrics, encoding: .utf8).split(separator: "\n").first)
    return try JSONDecoder().decode(Step.self, from: Data(line.utf8)).loss
  }

  @Test(
    "Without a GPU nothing else is looked at",
    arguments: [
      ["sample", "--model", "absent", "--tokens", "absent/out.npz"],
      ["edit", "absent", "--mask", "absent", "--singles", "folder"],
      ["encode", "absent", "absent", "-o", "folder"],
      ["decode", "absent", "-o", "absent"],
      ["reconstruct", "absent", "-o", "absent"],
      ["verify", "absent"],
      ["compare", "--model", "absent"],
      ["attention", "--model", "absent", "--data", "absent", "-o", "absent"],
      ["cache", "--data", "absent", "-o", "folder"],
      ["train", "--data", "absent", "--tokenizer", "absent", "-o", "folder"],
      ["train-tokenizer", "--data", "absent", "-o", "folder"],
      ["evaluate", "--data", "absent", "--tokenizer", "absent"],
    ])
  func noGPU(arguments: [String]) throws {
    try withTemporaryFolder { folder in
      let result = try Self.run(arguments + ["--device", "cuda"], in: folder, library: "/nowhere/libcuda.so.1")
      // That nothing could be judged is no difference.
      #expect(result.code == (arguments[0] == "verify" ? 2 : 1) && result.output.isEmpty)
      #expect(
        result.errors == "mvar: --device cuda: the CUDA driver could not be loaded; tried /nowhere/libcuda.so.1 "
          + "(cannot open shared object file: No such file or directory)\n")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
  }

  @Test(arguments: [
    (
      ["--precision", "tf32"],
      "--precision tf32 is for --device cuda; the cpu engine has float32, bf16 and int8"
    ),
    (
      ["--precision", "float32", "--device", "reference"],
      "--precision float32 is for --device cpu or cuda; the reference engine has one precision only"
    ),
    (
      ["--precision", "int8", "--device", "cuda"],
      "--precision int8 is for --device cpu; the cuda engine has float32, tf32 and bf16"
    ),
    (
      ["--precision", "bf16"],
      "--precision bf16 is not for this command: golden values are judged by what float32 can reach"
    ),
    (["--products", "cublas"], "--products cublas is for --device cuda; the cpu engine multiplies in one way only"),
    (["--products", "mkl"], "The value 'mkl' is invalid for '--products <products>'"),
    (["--precision", "fp8"], "The value 'fp8' is invalid for '--precision <precision>'; use one of 'float32'"),
  ])
  func badOptions(arguments: [String], complaint: String) throws {
    let result = try Tool.run(["verify", "absent"] + arguments, in: "/")
    #expect(result.code == 64 && result.output.isEmpty)
    #expect(result.errors.hasPrefix("mvar: \(complaint)"), "\(result.errors)")
  }

  @Test(
    arguments: ["cpu", "reference"],
    [
      ["sample", "-o", "absent.png"], ["edit", "absent", "--extend", "1,1,1,1", "-o", "absent.png"],
      ["evaluate", "--data", "absent", "--tokenizer", "absent"],
    ])
  func graphsElsewhere(device: String, command: [String]) throws {
    let result = try Tool.run(command + ["--device", device, "--graphs"], in: "/")
    #expect(result.code == 64 && result.output.isEmpty)
    #expect(
      result.errors.hasPrefix("mvar: --graphs is for --device cuda; the \(device) engine launches nothing"),
      "\(result.errors)")
  }
}
