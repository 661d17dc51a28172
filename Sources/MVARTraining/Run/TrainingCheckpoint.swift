// A training as a file: weights, moments, step counts and settings in one safetensors file, so that it can never mix
// two states. Weights have the published names (prefixed by `mvar_wo_ddp.` or `vae_wo_ddp.`), so the file is also a
// model that can be used as it is; a moving average of the weights is another set, prefixed by `ema.`; everything else that
// a training needs is prefixed by `trainer.`. Moments in 8 bits are stored as they are, bytes beside their scales
// (`trainer.first.…`, `trainer.first_scales.…`). Checksums of all tensors end the file.
//
// Random numbers need no state: they follow from the seed and the number of the sample.

import Foundation
import MVAR
import MVARCheckpoints
import MVARCollectives
import MVARFiles
import TensorCore

/// Writes and reads the state of a training.
public struct TrainingCheckpoint<B: Backend> {
  /// Which model it trains.
  public let model: CheckpointNames.Model
  /// How many iterations are done.
  public var iteration: Int
  /// What determines the results of a run; see ``check(_:fingerprints:path:)`` for what a resumed run may have changed.
  public let settings: StoredSettings
  /// The model's own metadata.
  public var metadata: [String: String]

  /// A checkpoint to write.
  public init(
    _ model: CheckpointNames.Model, iteration: Int, settings: StoredSettings, metadata: [String: String]
  ) {
    self.model = model
    self.iteration = iteration
    self.settings = settings
    self.metadata = metadata
  }

  private static func wrapper(_ model: CheckpointNames.Model) -> String {
    model == .transformer ? "mvar_wo_ddp." : "vae_wo_ddp."
  }

  /// What precedes the names of a moving average of the weights.
  private static var averagePrefix: String { "ema." }

  /// Writes the file, replacing an old one only when complete.
  ///
  /// - Parameters:
  ///   - optimizer: whose parameters and moments are written.
  ///   - usage: of a tokenizer's codes.
  ///   - average: of the weights, if there is one.
  ///   - collectives: the processes that train together, each of which calls this: the first one writes, and gets the moments
  ///     that others keep.
  ///   - path: the file.
  /// - Throws: `FileError` when a weight or a moment is not finite, or the file cannot be written; an old one stays.
  public func write(
    _ optimizer: Optimizer<B>, usage: CodeUsage? = nil, average: WeightAverage<B>? = nil,
    collectives: any Collectives = SingleProcess(), to path: String
  ) throws {
    let steps = try optimizer.stepCounts()
    guard collectives.isRoot else { return try optimizer.sendMoments(steps) }
    var tensors: [(name: String, tensor: StoredTensor)] = []
    let keys = optimizer.parameters.map { CheckpointNames.key(of: $0.name, in: model) }
    for (key, parameter) in zip(keys, optimizer.parameters) {
      try checkFinite(parameter.value, key, path)
      tensors.append((Self.wrapper(model) + key, try Self.stored(parameter.value)))
    }
    for (key, value) in zip(keys, average?.values ?? []) {
      try checkFinite(value, "the average of \(key)", path)
      tensors.append((Self.averagePrefix + key, try Self.stored(value)))
    }
    let received = ReceivedMoments(optimizer: optimizer)
    for (index, key) in keys.enumerated() where steps[index] > 0 {
      if let moments = optimizer.moments[index] {
        tensors += try Self.stored(moments.first, "trainer.first", of: key, path)
        tensors += try Self.stored(moments.second, "trainer.second", of: key, path)
      } else {
        let shape = optimizer.parameters[index].value.shape.dimensions
        for part in ["trainer.first", "trainer.second"] {
          // Received when it is written: one tensor at a time.
          tensors.append(
            (
              "\(part).\(key)",
              try StoredTensor(scalarType: B.Scalar.self == Double.self ? .float64 : .float32, shape: shape) {
                try received.optimizer.receiveMoment(of: index, path)
              }
            ))
        }
      }
    }
    tensors.append(("trainer.steps", try StoredTensor(steps, shape: [keys.count])))
    if let usage {
      tensors.append((Self.wrapper(model) + "quantize.ema_vocab_hit_SV", try usage.storedAverages()))
      tensors.append(("trainer.recent_hits", try StoredTensor(usage.recentHits, shape: [usage.recentHits.count])))
      tensors.append(("trainer.usage_updates", try StoredTensor([usage.updates], shape: [1])))
    }
    var metadata = metadata
    metadata["iteration"] = String(iteration)
    metadata["settings"] = settings.text
    try SafetensorsWriter.write(TensorChecksums.adding(to: tensors), metadata: metadata, to: path)
  }

  /// Reads the header of a checkpoint.
  ///
  /// - Throws: `FileError` when the file is not a checkpoint of a training of this model.
  public init(reading path: String, _ model: CheckpointNames.Model) throws {
    let file = try Checkpoint.open(path)
    guard let text = file.metadata["iteration"], let settingsText = file.metadata["settings"],
      file["trainer.steps"] != nil
    else {
      throw FileError(path, "is no checkpoint of a training: it does not say how far it got")
    }
    guard let number = Int(text), number >= 0, String(number).isExactly(text) else {
      throw FileError(path, "says that \"\(printable(text, limit: 40))\" iterations are done, which is no count")
    }
    guard let settings = StoredSettings(text: settingsText) else {
      throw FileError(path, "holds settings that are no valid JSON object")
    }
    let (mark, name) =
      model == .transformer
      ? (CheckpointNames.transformerMark, "transformer") : (CheckpointNames.tokenizerMark, "tokenizer")
    guard file[Self.wrapper(model) + mark] != nil else {
      throw FileError(path, "is a checkpoint of a training, but not of a \(name)'s")
    }
    self.init(model, iteration: number, settings: settings, metadata: file.metadata)
  }

  /// Refuses to resume with settings other than those the run began with, except for more steps, and for another batch
  /// of a transformer: its samples are counted, so that none is left out or used twice (``samples(_:accumulation:batch:path:)``). A
  /// tokenizer averages how often codes occur in a batch, and batches of two sizes have no common average.
  ///
  /// - Parameters:
  ///   - wanted: the settings of the resumed run.
  ///   - fingerprints: whether fingerprints are compared too, for which data have to be read.
  ///   - path: the file, for messages.
  /// - Throws: `FileError` that names the first setting that differs.
  public func check(_ wanted: some RunSettings, fingerprints: Bool = true, path: String) throws {
    let difference: (name: String, began: String?, now: String?)?
    do {
      difference = try settings.difference(to: wanted, fingerprints: fingerprints) { name, began, now in
        guard let began = began.flatMap({ Int($0) }), let now = now.flatMap({ Int($0) }) else { return false }
        return name == "--steps" && now > began || name == "--batch" && model == .transformer
      }
    } catch let error as SettingsError {
      throw FileError(path, error.description)
    }
    guard let difference else { return }
    func short(_ text: String?) -> String { text.map { printable($0, limit: 200) } ?? "not set" }
    let advice =
      switch difference.name {
      case "--steps": "a run goes on for as many steps or for more"
      case "--batch" where model == .tokenizer:
        "resume with the same settings, since the use of codes is averaged over batches of one size"
      default: "resume with the same settings"
      }
    throw FileError(
      path,
      "the run began with \(short(difference.name)) \(short(difference.began)), now it is \(short(difference.now)): "
        + advice)
  }

  /// The value of a setting, as its option takes it.
  ///
  /// - Throws: `FileError` when the settings cannot be read, or hold none of this name and type.
  public func setting<Settings: RunSettings, Value: LosslessStringConvertible>(
    _ name: String, in type: Settings.Type, path: String
  ) throws -> Value {
    do {
      guard let text = try settings.text(of: name, in: type), let value = Value(text) else {
        throw SettingsError(description: "does not say what \(name) was")
      }
      return value
    } catch let error as SettingsError {
      throw FileError(path, error.description)
    }
  }

  /// The metadata's key for the number of samples, which is there once the batch has changed.
  static var samplesKey: String { "samples" }

  /// How many samples the run has used.
  ///
  /// - Parameters:
  ///   - settings: of the run, for their type.
  ///   - accumulation: micro-batches per iteration.
  ///   - batch: samples per micro-batch, where the settings do not have them.
  ///   - path: the file, for messages.
  /// - Throws: `FileError` when the file holds a number that no run has written.
  public func samples<Settings: RunSettings>(_ settings: Settings, accumulation: Int, batch: Int, path: String) throws
    -> Int
  {
    guard let text = metadata[Self.samplesKey] else {
      let began = (try? setting("--batch", in: Settings.self, path: path) as Int) ?? batch
      guard (1...1 << 20).contains(began), iteration <= 1 << 53 / (accumulation * began) else {
        throw FileError(path, "says that \(iteration) iterations of \(began) images are done, which no run reaches")
      }
      return iteration * accumulation * began
    }
    guard let number = Int(text), (0...1 << 53).contains(number), String(number).isExactly(text) else {
      throw FileError(path, "says that \"\(printable(text, limit: 40))\" samples are done, which is no count")
    }
    return number
  }

  /// Refuses to resume a run beyond its end.
  ///
  /// - Parameters:
  ///   - iterations: how many the run has.
  ///   - path: the file, for messages.
  /// - Throws: `FileError`.
  public func check(iterations: Int, path: String) throws {
    guard iteration <= iterations else {
      throw FileError(path, "says that \(iteration) iterations are done, and the run has only \(iterations)")
    }
  }

  /// The reason for the limit of a count.
  private var reason: String { "after \(iteration) iteration\(iteration == 1 ? "" : "s")" }

  /// Restores weights, their average, moments and step counts.
  ///
  /// - Throws: `FileError` when something is missing, has another shape, or holds a number that no run has written, or
  ///   when numbers contradict one another.
  public func restore(_ optimizer: Optimizer<B>, average: WeightAverage<B>? = nil, from path: String) throws {
    let numbers = StoredNumbers(file: try Checkpoint.open(path))
    // A parameter takes at most one step per iteration.
    let steps = try numbers.counts("trainer.steps", [optimizer.parameters.count], upTo: iteration, because: reason)
    for (index, parameter) in optimizer.parameters.enumerated() {
      let key = CheckpointNames.key(of: parameter.name, in: model)
      let (shape, device) = (parameter.value.shape, parameter.value.device)
      parameter.value = try Self.tensor(Self.wrapper(model) + key, shape, numbers, on: device)
      if let average {
        average.values[index] = try Self.tensor(Self.averagePrefix + key, shape, numbers, on: device)
      }
      guard steps[index] == 0 || optimizer.keepsMoments(of: index) else { continue }
      guard steps[index] > 0 else {
        guard numbers.file["trainer.first.\(key)"] == nil, numbers.file["trainer.second.\(key)"] == nil else {
          throw FileError(path, "holds moments of \(key), and trainer.steps says that it took no step")
        }
        optimizer.moments[index] = nil
        continue
      }
      func moment(_ name: String, _ code: ShortNumbers.Code, least: Float) throws -> Tensor<B> {
        guard optimizer.isShort(shape),
          let short = ShortState<B>.tensor(
            try numbers.shortNumbers("\(name).\(key)", scales: "\(name)_scales.\(key)", shape.dimensions, code),
            shape: shape, on: device)
        else { return try Self.tensor("\(name).\(key)", shape, numbers, least: least, on: device) }
        return short
      }
      optimizer.moments[index] = .init(
        first: try moment("trainer.first", .firstMoment, least: -.greatestFiniteMagnitude),
        second: try moment("trainer.second", .secondMoment, least: 0), steps: steps[index])
    }
    // Every iteration is a step of some parameter.
    guard let most = steps.max(), most == iteration else {
      throw FileError(
        path, "says that \(iteration) iterations are done, and trainer.steps holds \(steps.max() ?? 0) steps at most")
    }
    try TensorChecksums.check(numbers.file)
  }

  /// The usage of codes.
  ///
  /// - Parameters:
  ///   - tokens: how many tokens a batch has at each scale.
  ///   - vocabulary: V.
  ///   - expected: how many updates there were; nil where that is not known.
  ///   - path: the file.
  /// - Throws: `FileError` when it is missing, has another shape, or holds a number that no run has written.
  public func usage(tokens: [Int], vocabulary: Int, updates expected: Int? = nil, from path: String) throws -> CodeUsage
  {
    let numbers = StoredNumbers(file: try Checkpoint.open(path))
    let name = Self.wrapper(model) + "quantize.ema_vocab_hit_SV"
    let averages = try numbers.floats(name, [tokens.count, vocabulary], least: 0)
    let rows = tokens.indices.map { Array(averages[$0 * vocabulary..<($0 + 1) * vocabulary]) }
    for (scale, row) in rows.enumerated() {
      // An average of counts is no larger than the largest count, but for rounding.
      try numbers.check(row, name, least: 0, most: 1.001 * Float(tokens[scale]), offset: scale * vocabulary)
    }
    // An update per iteration, and no more hits of a code than there were tokens.
    let updates = try numbers.counts("trainer.usage_updates", [1], upTo: iteration, because: reason)[0]
    if let expected, updates != expected {
      throw FileError(path, "trainer.usage_updates holds \(updates), and \(reason) there were \(expected) updates")
    }
    let (hits, overflow) = iteration.multipliedReportingOverflow(by: tokens.reduce(0, +))
    let recent = try numbers.counts(
      "trainer.recent_hits", [vocabulary], upTo: overflow ? .max / 2 : hits, because: reason)
    // Whole batches have been counted.
    var total = 0
    for count in recent { total = total.addingReportingOverflow(count).partialValue }
    let each = tokens.reduce(0, +)
    guard each == 0 || total >= 0 && total % each == 0 && total / each <= updates else {
      throw FileError(
        path,
        "trainer.recent_hits holds \(total) hits in all, and \(updates) updates of \(each) tokens do not add up to that"
      )
    }
    return CodeUsage(averages: rows, updates: updates, recentHits: recent)
  }

  private static func tensor(
    _ name: String, _ shape: Shape, _ numbers: StoredNumbers, least: Float = -.greatestFiniteMagnitude,
    on device: B.Device
  ) throws -> Tensor<B> {
    // Copied: the file is replaced while the run continues.
    if B.Scalar.self == Double.self {
      let least = least == 0 ? 0 : -Double.greatestFiniteMagnitude
      let values = try numbers.doubles(name, shape.dimensions, least: least)
      return try Tensor(values.map { B.Scalar($0) }, shape: shape, on: device)
    }
    return try Tensor(
      B.Scalar.array(try numbers.floats(name, shape.dimensions, least: least)), shape: shape, on: device)
  }

  /// A tensor as it is stored: in single precision, or in double where the engine computes in double. It is copied only
  /// when it is written, so that a checkpoint takes the memory of one tensor.
  static func stored(_ tensor: Tensor<B>) throws -> StoredTensor {
    try StoredTensor(
      scalarType: B.Scalar.self == Double.self ? .float64 : .float32, shape: tensor.shape.dimensions
    ) {
      try tensor.scalars().withUnsafeBytes { [UInt8]($0) }
    }
  }

  /// A moment as it is stored: numbers, or bytes and their scales.
  ///
  /// - Throws: `FileError` when it is not finite.
  private static func stored(_ moment: Tensor<B>, _ name: String, of key: String, _ path: String) throws -> [(
    name: String, tensor: StoredTensor
  )] {
    guard let short = ShortState.numbers(of: moment) else {
      try checkFinite(moment, "a moment of \(key)", path)
      return [("\(name).\(key)", try stored(moment))]
    }
    let scales = short.scales
    guard scales.allSatisfy(\.isFinite) else { throw notFinite("a moment of \(key)", path) }
    return [
      (
        "\(name).\(key)",
        try StoredTensor(scalarType: .uint8, shape: moment.shape.dimensions) { short.bytes }
      ),
      ("\(name)_scales.\(key)", try StoredTensor(scales, shape: [scales.count])),
    ]
  }
}

/// The optimizer of a checkpoint that is being written, by the thread that writes.
private struct ReceivedMoments<B: Backend>: @unchecked Sendable {
  let optimizer: Optimizer<B>
}

/// Why nothing is written.
private func notFinite(_ name: String, _ path: String) -> FileError {
  FileError(path, "is not written: \(name) holds numbers that are not finite any more; try a lower learning rate")
}

/// Refuses a tensor with numbers that are not finite, which no file should hold.
///
/// - Throws: `FileError`, and what the engine throws when a transfer fails.
private func checkFinite<B: Backend>(_ tensor: Tensor<B>, _ name: String, _ path: String) throws {
  guard try B.isFinite(tensor) else { throw notFinite(name, path) }
}

extension CodeUsage {
  /// The averages as stored in a checkpoint, [S, V] in single precision.
  ///
  /// - Throws: `FileError` when they do not fill that shape.
  public func storedAverages() throws -> StoredTensor {
    try StoredTensor(averages.flatMap { $0 }, shape: [averages.count, recentHits.count])
  }
}

/// Writes the weights of a model alone, under the published names.
public enum ModelFile {
  /// Writes a safetensors file, replacing an old one only when complete.
  ///
  /// - Parameters:
  ///   - parameters: of the model.
  ///   - model: which of the two models it is.
  ///   - extras: buffers that belong to the model, by their published keys.
  ///   - metadata: see `ModelMetadata`.
  ///   - path: the file to write.
  /// - Throws: `FileError` when a weight is not finite or the file cannot be written.
  public static func write<B: Backend>(
    _ parameters: [Parameter<B>], _ model: CheckpointNames.Model, extras: [(name: String, tensor: StoredTensor)] = [],
    metadata: [String: String], to path: String
  ) throws {
    let tensors = try parameters.map { parameter in
      let key = CheckpointNames.key(of: parameter.name, in: model)
      try checkFinite(parameter.value, key, path)
      return (name: key, tensor: try TrainingCheckpoint<B>.stored(parameter.value))
    }
    try SafetensorsWriter.write(tensors + extras, metadata: metadata, to: path)
  }
}
