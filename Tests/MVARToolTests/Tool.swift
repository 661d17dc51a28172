// Runs the built program `mvar` as a separate process, as a user does, and provides the tiny models that the tests run
// it on: the one-block transformer among the golden files, and a tokenizer with deterministic pseudo-random weights
// that fits it.

import Foundation
import MVAR
import MVARCheckpoints
import MVARTestSupport
import TensorCore
import Testing

/// The program and its models.
enum Tool {
  /// The result of a run of the program.
  typealias Result = BuiltProgram.Result

  /// The program.
  static let program = BuiltProgram.path("mvar")

  /// Runs the program in a folder.
  static func run(_ arguments: [String], in folder: String) throws -> Result {
    try run(program, arguments, in: folder)
  }

  /// Runs a shell script in which `$MVAR` is the program.
  static func shell(_ script: String, in folder: String) throws -> Result {
    try run("/bin/sh", ["-c", script], in: folder)
  }

  private static func run(_ program: String, _ arguments: [String], in folder: String) throws -> Result {
    try BuiltProgram.run(
      program, arguments, in: folder,
      environment: ["MVAR": Tool.program, "PATH": "/usr/bin:/bin", "OPENBLAS_NUM_THREADS": "1"])
  }

  /// The one-block transformer.
  static let model = Fixtures.path("golden/files/checkpoint_published.pth")
  /// The settings that the transformer's file does not contain.
  static let hints = ["--window", "3", "--refine-step", "4"]
  /// The list of scales, which a tokenizer's file does not contain.
  static let scales = ["--patch-nums", "1,2,3,4,6,8"]

  /// A tokenizer for the transformer, written once; images have 128 pixels per side.
  static let tokenizer: String = {
    let path = FileManager.default.temporaryDirectory
      .appending(path: "mvar-tiny-tokenizer-\(ProcessInfo.processInfo.processIdentifier).safetensors")
      .path(percentEncoded: false)
    try! SafetensorsWriter.write(tokenizerWeights(), to: path)
    removed.path = path
    atexit { unlink(removed.path) }
    return path
  }()

  private nonisolated(unsafe) static let removed = Removed()
  private final class Removed { var path = "" }

  /// The tokenizer's weights by checkpoint key.
  static func tokenizerWeights() throws -> [(name: String, tensor: StoredTensor)] {
    let configuration = TokenizerConfiguration(
      vocabulary: 64, codeWidth: 8, channels: 32, scaleList: try ScaleList([1, 2, 3, 4, 6, 8]))
    let model = try VQVAE(
      configuration, SeededSource<Reference<Float>>(seed: 0, .tokenizer, on: HostDevice()), on: HostDevice())
    return try model.parameters.map { parameter in
      let key = CheckpointNames.key(of: parameter.name, in: .tokenizer)
      return (key, try StoredTensor(parameter.value.scalars(), shape: parameter.value.shape.dimensions))
    }
  }

  /// The transformer's weights by checkpoint key.
  static func transformerWeights() throws -> [(name: String, tensor: StoredTensor)] {
    try CheckpointWeights(path: model, .transformer).tensors
  }

  /// The arguments that sample one image with the tiny models.
  static func sample(model: String? = nil, tokenizer: String? = nil, _ more: [String] = []) -> [String] {
    ["sample", "--model", model ?? Tool.model, "--tokenizer", tokenizer ?? Tool.tokenizer] + hints + more
  }
}
