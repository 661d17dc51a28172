// What the training commands refuse, each with its sentence: mistakes in options and data, runs that cannot be resumed, and
// files that would be replaced or do not fit.

import Foundation
import MVARCheckpoints
import MVARMedia
import TensorCore
import Testing

extension TrainingCommandTests {
  /// One mistake.
  struct Mistake: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let arguments: [String]
    /// The expected message; only its beginning if it ends with an ellipsis.
    let sentence: String
    let code: Int32
    /// Creates what the mistake needs in addition to the usual files.
    let prepare: @Sendable (String) throws -> Void

    init(
      _ name: String, _ arguments: [String], _ sentence: String, code: Int32 = 1,
      _ prepare: @escaping @Sendable (String) throws -> Void = { _ in }
    ) {
      (testDescription, self.arguments, self.sentence, self.code) = (name, arguments, sentence, code)
      self.prepare = prepare
    }
  }

  // The run's folder always has a one-letter name: such names were once too short.
  static let mistakes: [Mistake] = [
    Mistake(
      "data that do not exist", ["train-tokenizer", "--data", "none"] + sizes + ["-o", "r"], "none: does not exist"),
    Mistake(
      "data without classes", ["train-tokenizer", "--data", "empty"] + sizes + ["-o", "r"],
      "empty: holds no class folders"),
    Mistake("data in a file", ["train-tokenizer", "--data", "file"] + sizes + ["-o", "r"], "file: is not a folder"),
    Mistake(
      "a class that is not there", tokenizer + ["--never-flip", "dog", "-o", "r"],
      "--never-flip dog: data has no class of this name"),
    Mistake(
      "a width without groups", tokenizer + ["--ch", "33", "-o", "r"],
      "level widths [33, 66] cannot be divided into the 32 groups of the group norm", code: 64),
    Mistake(
      "no steps", tokenizer + ["--steps", "0", "-o", "r"], "--steps is 0; use a number from 1 to 100000000", code: 64),
    Mistake(
      "a rate that is no number", tokenizer + ["--lr", "nan", "-o", "r"],
      "--lr is nan; use a positive number, at most 10", code: 64),
    Mistake(
      "heads that do not divide", transformer + Self.hintsForTool + ["--heads", "3", "-o", "r"],
      "a width of 32 cannot be divided into 3 heads", code: 64),
    Mistake(
      "a window larger than a map",
      transformer + Self.hintsForTool + ["--window", "9", "--refine-step", "2", "-o", "r"],
      "a window of 9 does not fit scale 2, whose map has side 3", code: 64),
    Mistake(
      "cached tokens that are images", transformer + Self.hintsForTool + ["--cached", "-o", "r"],
      "data/a: holds no cached images (.npz)"),
    Mistake("an output that is a file", tokenizer + ["-o", "file"], "file: is not a folder"),
  ]

  /// A training that finishes after one step, in `old`.
  static let finished =
    tokenizer + ["--steps", "1", "--picture-every", "0", "--validate-every", "0", "-o", "old"]

  static func run(_ folder: String) throws {
    let result = try Tool.run(finished, in: folder)
    #expect(result.code == 0, "\(result.errors)")
  }

  /// A run in `old` whose checkpoint is replaced.
  private static func damaged(_ change: @escaping @Sendable (Data) -> Data) -> @Sendable (String) throws -> Void {
    { folder in
      try run(folder)
      let path = URL(filePath: "\(folder)/old/checkpoint.safetensors")
      try change(Data(contentsOf: path)).write(to: path)
    }
  }

  /// A run in `old` with a checkpoint that is another program's work.
  private static func changed(
    _ change: @escaping @Sendable (inout [(name: String, tensor: StoredTensor)], inout [String: String]) throws -> Void
  ) -> @Sendable (String) throws -> Void {
    { folder in
      try run(folder)
      let path = "\(folder)/old/checkpoint.safetensors"
      let source = try Checkpoint.open(path)
      var (tensors, metadata) = (source.tensors, source.metadata)
      try change(&tensors, &metadata)
      #expect(metadata != source.metadata || tensors.contains { $0.name == "trainer.usage_updates" })
      try SafetensorsWriter.write(tensors, metadata: metadata, to: path)
    }
  }

  /// Folders in which a run cannot be resumed.
  static let resumptions: [Mistake] = [
    Mistake(
      "a folder that holds a run", finished,
      "old: holds a training run already (checkpoint.safetensors); resume it or choose another folder",
      { try run($0) }),
    Mistake(
      "fewer steps", finished + ["--resume"],
      "old/checkpoint.safetensors: the run began with --steps 2, now it is 1: a run goes on for as many steps or for more",
      {
        let result = try Tool.run(finished + ["--steps", "2"], in: $0)
        #expect(result.code == 0)
      }),
    Mistake(
      "more steps and another warm-up", finished + ["--resume", "--steps", "2", "--warmup", "1"],
      "old/checkpoint.safetensors: the run began with --warmup 0, now it is 1: resume with the same settings",
      { try run($0) }),
    Mistake(
      "another rate", finished + ["--resume", "--lr", "0.5"],
      "old/checkpoint.safetensors: the run began with --lr 0.001, now it is 0.5: resume with the same settings",
      { try run($0) }),
    Mistake(
      "images that are gone", finished + ["--resume"],
      "old/checkpoint.safetensors: the run began with data 18 images, …",
      {
        try run($0)
        try FileManager.default.removeItem(atPath: "\($0)/data/a/5.png")
      }),
    Mistake(
      "two images that changed places", finished + ["--resume"],
      "old/checkpoint.safetensors: the run began with pixels …",
      { folder in
        try run(folder)
        for (from, to) in [("1", "x"), ("2", "1"), ("x", "2")] {
          try FileManager.default.moveItem(atPath: "\(folder)/data/a/\(from).png", toPath: "\(folder)/data/a/\(to).png")
        }
      }),
    Mistake(
      "a held-out image that was replaced", finished + ["--resume"],
      "old/checkpoint.safetensors: the run began with pixels …",
      { folder in
        try run(folder)
        for name in ["a", "b"] {
          for number in 0..<10 {
            try PixelImage(width: 16, height: 16, filledWith: .black).writePNG(
              to: "\(folder)/data/\(name)/\(number).png")
          }
        }
      }),
    Mistake(
      "another engine", finished + ["--resume", "--device", "reference"],
      "old/checkpoint.safetensors: the run began with --device cpu, now it is reference: resume with the same settings",
      { try run($0) }),
    Mistake(
      "another batch, too large for any machine", finished + ["--resume", "--batch", "4096", "--ch", "4096"],
      "old/checkpoint.safetensors: the run began with --batch 4, now it is 4096: resume with the same settings, "
        + "since the use of codes is averaged over batches of one size",
      { try run($0) }),
    Mistake(
      "counts that no run reaches", finished + ["--resume"],
      "old/checkpoint.safetensors: trainer.usage_updates holds \(Int.max) at position 0, and after 1 iteration counts are 0 … 1",
      changed { tensors, _ in
        tensors = try tensors.map {
          ($0.name, $0.name == "trainer.usage_updates" ? try StoredTensor([Int.max], shape: [1]) : $0.tensor)
        }
      }),
    Mistake(
      "more iterations than the run has", finished + ["--resume"],
      "old/checkpoint.safetensors: says that 2 iterations are done, and the run has only 1",
      changed { _, metadata in metadata["iteration"] = "2" }),
    Mistake(
      "a setting that occurs twice", finished + ["--resume"],
      "old/checkpoint.safetensors: holds settings that cannot be read: their text holds the key \"batch\" twice",
      changed { _, metadata in
        metadata["settings"] = metadata["settings"]?.replacing("\"batch\":4", with: "\"batch\":4,\"batch\":4")
      }),
    Mistake(
      "a fingerprint that is missing", finished + ["--resume"],
      "old/checkpoint.safetensors: the run began with data not set, now it is 18 images, …",
      changed { _, metadata in
        metadata["settings"] = metadata["settings"]?.replacing(/"data":"18 images, [0-9a-f]+",/, with: "")
      }),
    Mistake(
      "a tokenizer's run", transformer + hintsForTool + ["--resume", "-o", "old"],
      "old/checkpoint.safetensors: is a checkpoint of a training, but not of a transformer's", { try run($0) }),
    Mistake(
      "a checkpoint cut short", finished + ["--resume"], "old/checkpoint.safetensors: tensor \"…",
      damaged { $0.prefix($0.count / 2) }),
    Mistake(
      "a checkpoint without a byte", finished + ["--resume"], "old/checkpoint.safetensors: is empty",
      damaged { _ in Data() }),
    Mistake(
      "a checkpoint that is text", finished + ["--resume"],
      "old/checkpoint.safetensors: is not a checkpoint: it begins with the text \"garbage\"",
      damaged { _ in Data("garbage".utf8) }),
    Mistake(
      "a model instead of a checkpoint", finished + ["--resume"],
      "old/checkpoint.safetensors: is no checkpoint of a training: it does not say how far it got",
      {
        try run($0)
        try FileManager.default.removeItem(atPath: "\($0)/old/checkpoint.safetensors")
        try FileManager.default.moveItem(
          atPath: "\($0)/old/tokenizer.safetensors", toPath: "\($0)/old/checkpoint.safetensors")
      }),
    Mistake(
      "metrics without a checkpoint", finished + ["--resume"],
      "old: holds the metrics of a training run (metrics.jsonl) without its checkpoint; choose another folder",
      {
        try run($0)
        try FileManager.default.removeItem(atPath: "\($0)/old/checkpoint.safetensors")
      }),
  ]

  private static let apart =
    "lies in the folder of the data, where results would be taken for data; choose another folder"
  private static let noTokenizer = "holds no weights with a parameter \"quantize.embedding.weight\"; it holds …"
  private static let noNumbers =
    "the tokenizer's output is not made of finite numbers: its weights are damaged or do not fit"
  private static let cache = ["cache", "--data", "data", "--tokenizer", "tokenizer.safetensors"] + hintsForTool

  private static func emptyClass(_ folder: String) throws {
    try FileManager.default.createDirectory(atPath: "\(folder)/empty/a", withIntermediateDirectories: true)
    try Data("x".utf8).write(to: URL(filePath: "\(folder)/empty/a/notes.txt"))
  }

  /// The one-block transformer with a parameter of a second block, and data of as many classes as it has.
  private static func deeper(_ folder: String) throws {
    try BadFiles.transformer("\(folder)/deep.safetensors") {
      $0.append(("blocks.1.ffn.fc1.bias", try StoredTensor([1 as Float], shape: [1])))
    }
    for name in "abcdefghij" {
      let path = "\(folder)/ten/\(name)"
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
      try PixelImage(width: 4, height: 4, filledWith: .black).writePNG(to: "\(path)/0.png")
    }
  }

  private static func damagedTokenizer(_ folder: String) throws {
    try BadFiles.tokenizer("\(folder)/bad.safetensors") {
      try BadFiles.replace("encoder.conv_in.bias", in: &$0) {
        try StoredTensor([Float](repeating: .nan, count: $0.count), shape: $0.shape)
      }
    }
  }

  /// Data, models, paths and numbers that are refused before anything is written.
  static let refusals: [Mistake] = [
    Mistake(
      "a class without images", tokenizer + ["--data", "empty", "-o", "r"],
      "empty/a: holds no images (.png, .jpg, .jpeg)", { try emptyClass($0) }),
    Mistake(
      "an image that is none", tokenizer + ["-o", "r"], "data/a/3.png: is empty",
      { try Data().write(to: URL(filePath: "\($0)/data/a/3.png")) }),
    Mistake(
      "an output below a file", tokenizer + ["-o", "/dev/null/r"], "/dev/null/r: cannot be created: Not a directory"),
    Mistake("the data as output", tokenizer + ["-o", "data"], "data: \(apart)"),
    Mistake("an output among the classes", tokenizer + ["-o", "./data/x/../r"], "./data/x/../r: \(apart)"),
    Mistake(
      "a model that would be replaced", tokenizer + ["-o", "."],
      "./tokenizer.safetensors: exists already and would be replaced; choose another folder"),
    Mistake(
      "a tokenizer for no machine", tokenizer + ["--multipliers", "1000000", "-o", "r"],
      "training a tokenizer of these sizes on 4 images at once needs about …"),
    Mistake(
      "a transformer for no machine",
      transformer + hintsForTool + ["--depth", "65536", "--width", "65536", "--heads", "1", "-o", "r"],
      "training a transformer of these sizes on 4 images at once needs about …"),
    Mistake(
      "a drawing that would be replaced", tokenizer + ["-o", "r"],
      "r: holds loss.svg, which the run would replace; choose another folder",
      {
        try FileManager.default.createDirectory(atPath: "\($0)/r", withIntermediateDirectories: true)
        try Data().write(to: URL(filePath: "\($0)/r/loss.svg"))
      }),
    Mistake(
      "a negative rate", tokenizer + ["--lr", "-1", "-o", "r"], "--lr is -1.0; use a positive number, at most 10",
      code: 64),
    Mistake(
      "an empty batch", tokenizer + ["--batch", "0", "-o", "r"], "--batch is 0; use a number from 1 to 4096",
      code: 64),
    Mistake(
      "a huge batch", tokenizer + ["--batch", "5000", "-o", "r"], "--batch is 5000; use a number from 1 to 4096",
      code: 64),
    Mistake(
      "a batch beyond all numbers", tokenizer + ["--batch", "99999999999999999999", "-o", "r"],
      "The value '99999999999999999999' is invalid for '--batch <batch>'", code: 64),
    Mistake(
      "a warm-up longer than all", tokenizer + ["--steps", "5", "--warmup", "6", "-o", "r"],
      "--warmup is 6; use a number from 0 to the number of steps", code: 64),
    Mistake(
      "an option that is not there", tokenizer + ["--betas", "0.9", "0.99", "-o", "r"],
      "Unknown option '--betas'. Did you mean '--data'?", code: 64),
    Mistake(
      "no transformer to begin with", transformer + hintsForTool + ["--init", "none.pth", "-o", "r"],
      "none.pth: the file does not exist"),
    Mistake(
      "a beginning of another size", transformer + hintsForTool + ["--init", Tool.model, "-o", "r"],
      "--depth is 2, and the model in \(Tool.model) has 1"),
    Mistake(
      "a tokenizer to begin with", transformer + hintsForTool + ["--init", "tokenizer.safetensors", "-o", "r"],
      "tokenizer.safetensors: holds no weights with a parameter \"word_embed.weight\"; it holds …"),
    Mistake(
      "a transformer as tokenizer", ["train", "--data", "data", "--tokenizer", Tool.model, "-o", "r"],
      "\(Tool.model): \(noTokenizer)"),
    Mistake(
      "shifts of cached tokens", transformer + hintsForTool + ["--cached", "--shift", "1", "-o", "r"],
      "--shift needs images; cached tokens can only be mirrored", code: 64),
    Mistake(
      "orientations of cached tokens", transformer + hintsForTool + ["--cached", "--exif", "apply", "-o", "r"],
      "--exif needs images; cached tokens are of images as mvar cache read them", code: 64),
    Mistake("a cache in a file", cache + ["-o", "file"], "file: is not a folder"),
    Mistake("a cache in the data", cache + ["-o", "data"], "data: \(apart)"),
    Mistake("a cache of nothing", cache + ["--data", "none", "-o", "l"], "none: does not exist"),
    Mistake(
      "a cache by a transformer", ["cache", "--data", "data", "--tokenizer", Tool.model, "-o", "l"],
      "\(Tool.model): \(noTokenizer)"),
    Mistake(
      "a cache by a damaged tokenizer", cache + ["--tokenizer", "bad.safetensors", "-o", "l"],
      "bad.safetensors: \(noNumbers)", { try damagedTokenizer($0) }),
    Mistake(
      "an evaluation of a file", ["evaluate", "--data", "file", "--tokenizer", "tokenizer.safetensors"] + hintsForTool,
      "file: is not a folder"),
    Mistake(
      "an evaluation by a transformer", ["evaluate", "--data", "data", "--tokenizer", Tool.model],
      "\(Tool.model): \(noTokenizer)"),
    Mistake(
      "the first blocks of a deeper transformer",
      oneBlock + ["--init", "deep.safetensors", "-o", "r"],
      "deep.safetensors: blocks.1.ffn.fc1.bias is no parameter of a model of these sizes", { try deeper($0) }),
  ]

  /// A training with the sizes of the one-block transformer.
  private static let oneBlock: [String] =
    transformer + hintsForTool + ["--depth", "1", "--width", "64", "--heads", "4", "--data", "ten"]

  /// The shared tokenizer's list of scales, which its file does not contain.
  private static var hintsForTool: [String] { Tool.scales }
}
