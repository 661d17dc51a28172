// What is fuzzed: every reader of a file that a user can give, and of every file that the programs write and read again.
// An input may be refused by an error of any kind, whose text is one line of bounded length; everything else (a trap,
// memory beyond the limit, more than ten seconds, what AddressSanitizer sees) ends the process and leaves the input
// behind.

import Foundation
import MVAR
import MVARCheckpoints
import MVARFiles
import MVARMedia
import MVARTraining
import MVARVerification
import TensorCore

/// A reader under test.
enum FuzzTarget: String, CaseIterable {
  /// Safetensors, PyTorch files of both kinds, npy and npz: every tensor is converted, the weights are searched for, and
  /// the sizes of both models are derived.
  case checkpoint
  /// The header of a safetensors file.
  case header
  /// A pickle, in a PyTorch file whose other parts are sound.
  case pickle
  /// PNG with every chunk's checksum repaired, and JPEG.
  case picture
  /// The index of images in sheets.
  case sheets
  /// Cached tokens.
  case latents
  /// The settings of a run.
  case settings
  /// The metrics of a run.
  case metrics
  /// A checkpoint to resume from, of both models.
  case training
  /// A golden file of operators.
  case golden
  /// Lists of schedules and of crops.
  case lists
  /// What a kernel under test answered.
  case answer
  /// Texts of the command line and of files: schedules, models, and whatever is printed.
  case texts

  /// Reads an input.
  func read(_ bytes: UnsafeRawBufferPointer) {
    do {
      try run(bytes)
    } catch {
      let text = "\(error)"
      precondition(!text.isEmpty && text.utf8.count < 4096, "an error of \(text.utf8.count) bytes")
      precondition(!text.utf8.contains { $0 < 0x20 || $0 == 0x7f }, "an error with control characters: \(text)")
    }
  }

  private static let file = FuzzInput("input.npz")

  private func run(_ bytes: UnsafeRawBufferPointer) throws {
    switch self {
    case .checkpoint: try Self.file.with(bytes) { try exercise(Checkpoint.open($0)) }
    case .header: try withBytes(SoundFiles.safetensors(header: bytes)) { try exercise(Checkpoint.open($0)) }
    case .pickle: try withBytes(SoundFiles.legacy(pickle: bytes)) { try exercise(Checkpoint.open($0)) }
    case .picture: try picture(bytes)
    case .sheets: try sheets(bytes)
    case .latents:
      try Self.file.with(bytes) { _ = try LatentFile(path: $0, length: 5, codeWidth: 2, vocabulary: 8) }
    case .settings: try settings(String(decoding: bytes, as: UTF8.self))
    case .metrics: try Self.file.with(bytes) { _ = try MetricsLog.read($0) }
    case .training: Self.file.with(bytes) { training($0) }
    case .golden: try Self.file.with(bytes) { try golden($0) }
    case .lists: try lists(bytes)
    case .answer: Self.file.with(bytes) { answer($0) }
    case .texts: texts(String(decoding: bytes, as: UTF8.self))
    }
  }

  private func withBytes(_ bytes: [UInt8], _ body: (String) throws -> Void) throws {
    try bytes.withUnsafeBytes { try Self.file.with($0, body) }
  }

  // MARK: Weights

  private func exercise(_ checkpoint: Checkpoint) throws {
    for (name, tensor) in checkpoint.tensors where tensor.count < 1 << 16 {
      precondition(checkpoint[name]?.count == tensor.count, "a tensor that is not found by its name")
      _ = try? tensor.floats()
      _ = try? tensor.doubles()
      _ = try? tensor.integers()
    }
    _ = try checkpoint.weights()
    for model in [CheckpointNames.Model.transformer, .tokenizer] {
      guard let weights = try? CheckpointWeights(path: checkpoint.path, model) else { continue }
      _ = try? TransformerConfiguration(weights)
      _ = try? TokenizerConfiguration(weights)
      _ = try? ModelMetadata.classNames(of: weights)
    }
  }

  // MARK: Data

  private func picture(_ bytes: UnsafeRawBufferPointer) throws {
    let image = try PixelImage(decoding: SoundFiles.png(repairing: [UInt8](bytes)))
    precondition(image.pixels.count == 3 * image.width * image.height, "pixels of another size")
  }

  private static let folder: String = {
    let folder = "\(FuzzInput.folder)/mvar-fuzz-\(getpid())"
    try! FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try! PixelImage(width: 8, height: 8, filledWith: .white).writePNG(to: "\(folder)/a.png")
    atexit { try? FileManager.default.removeItem(atPath: FuzzTarget.folder) }
    return folder
  }()

  private func sheets(_ bytes: UnsafeRawBufferPointer) throws {
    try Data(bytes).write(to: URL(filePath: "\(Self.folder)/index.json"))
    let images = try LabeledImages(path: Self.folder, side: 4, heldOut: 2)
    precondition(images.training.allSatisfy { images.classNames.indices.contains($0.label) }, "a label of no class")
  }

  // MARK: Runs

  private func settings(_ text: String) throws {
    guard let stored = StoredSettings(text: text) else { return }
    try TrainingCheckpoint<CPU<Float>>(.transformer, iteration: 0, settings: stored, metadata: [:])
      .check(FuzzSettings(), path: "run")
  }

  private func training(_ path: String) {
    for model in [CheckpointNames.Model.transformer, .tokenizer] {
      guard let checkpoint = try? TrainingCheckpoint<CPU<Float>>(reading: path, model) else { continue }
      _ = try? checkpoint.check(FuzzSettings(), path: path)
      if let usage = try? checkpoint.usage(tokens: [1, 4], vocabulary: 4, from: path) {
        precondition(usage.averages.count == 2 && usage.recentHits.count == 4, "usage of another size")
      }
    }
  }

  // MARK: Golden values

  private func golden(_ path: String) throws {
    let operators = try GoldenOperators(path: path)
    for name in operators.names.prefix(4) { _ = try? operators[name] }
    _ = try TensorDiff(expected: path, found: path)
  }

  private static let list = FuzzInput("schedules.json")

  private func lists(_ bytes: UnsafeRawBufferPointer) throws {
    // The name of a file in memory has no ending.
    Self.list.write(bytes)
    _ = try Verifier<CPU<Double>>(on: HostDevice()).verifyJSON(Self.list.path)
  }

  private static let answered = try! GoldenCase(computing: AnsweredCase.silu, in: .float32)

  private func answer(_ path: String) {
    let (rows, _) = KernelJudgment().rows(Self.answered, answer: path)
    precondition(!rows.isEmpty, "an answer without rows")
  }

  // MARK: Texts

  private func texts(_ text: String) {
    _ = try? LearningRateSchedule.Decay(text)
    _ = try? ModelSource(text)
    let escaped = printable(text, limit: 60)
    precondition(!escaped.utf8.contains { $0 < 0x20 || $0 == 0x7f }, "control characters are printed")
  }
}
