// `mvar inspect`: what a file is, and how well it fits the model it appears to be, from headers and names. Of the weights
// only finiteness is checked, one piece of the file after another.

import ArgumentParser
import Foundation
import MVAR
import MVARCheckpoints
import MVARFiles
import MVARMedia

struct Inspect: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show what a file contains.",
    discussion: """
      For a checkpoint: its format, the sets of weights in it, its model with the configuration, every parameter that \
      is missing, unexpected, of the wrong shape or not finite, and what is skipped. Also for .npz and .npy files, \
      golden files and images.

        mvar inspect mvar_d16.pth
      """)

  @Argument(help: "The file.")
  var file: String

  @Flag(help: "List every tensor.")
  var tensors = false

  @OptionGroup(title: "Settings a checkpoint may lack")
  var weights: WeightsOptions

  @OptionGroup(title: "Settings a checkpoint may lack")
  var hints: HintOptions

  func run() throws {
    if try isImage() {
      let image = try ImageSize(path: file)
      try line("file", "\(file), \(try size())")
      try line("format", "image")
      try line("size", "\(image.width) × \(image.height) pixels")
      return
    }
    let checkpoint = try Checkpoint.open(file)
    try line("file", "\(file), \(try size())")
    try line("format", checkpoint.format.rawValue)
    try describeTensors(checkpoint)
    for (key, value) in checkpoint.metadataEntries.sorted(by: { ExactText($0.key) < ExactText($1.key) }) {
      try line("metadata", "\(key): \(value.count > 100 ? "\(value.prefix(100))…" : value)")
    }
    if checkpoint.format != .npy, checkpoint.format != .npz { try describeWeights(checkpoint) }
    try list("skipped", checkpoint.skipped.map { "\($0.name.isEmpty ? "the whole" : $0.name) is \($0.object.reason)" })
    if tensors {
      try Table.print(
        [["name", "shape", "type", "bytes"]]
          + checkpoint.tensors.map {
            ["\($0.name)", "\($0.tensor.shape)", "\($0.tensor.scalarType)", "\($0.tensor.byteCount)"]
          })
    }
  }

  /// Whether the file begins like an image.
  private func isImage() throws -> Bool {
    let mapped = try MappedFile(path: file)
    let start = (0..<4).map { mapped.byte(at: $0) }
    return start == [0x89, 0x50, 0x4E, 0x47] || Array(start.prefix(3)) == [0xFF, 0xD8, 0xFF]
  }

  private func size() throws -> String {
    let count = try MappedFile(path: file).count
    return "\(count) bytes (\(Memory.text(count)))"
  }

  private func line(_ name: String, _ text: String) throws {
    let padding = String(repeating: " ", count: max(17 - name.count, 1))
    try Console.print(printable("\(name)\(padding)\(text)"))
  }

  private func describeTensors(_ checkpoint: Checkpoint) throws {
    let tensors = checkpoint.tensors.map(\.tensor)
    // A malicious file may contain many views of one storage, whose sizes can add up to anything.
    let numbers = tensors.reduce(0.0) { $0 + Double($1.count) }
    let bytes = tensors.reduce(0.0) { $0 + Double($1.byteCount) }
    try line(
      "tensors", "\(tensors.count) with \(String(format: "%.0f", numbers)) numbers, \(Memory.text(bytes))")
    let types = Dictionary(grouping: tensors, by: { $0.scalarType.rawValue }).mapValues(\.count)
    let list = types.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.key) × \($0.value)" }
    if !list.isEmpty { try line("types", list.joined(separator: ", ")) }
    try self.list("not finite", try NonFiniteTensors(checkpoint.tensors).descriptions)
  }

  /// The first few of a list, one a line, and how many more there are.
  private func list(_ name: String, _ items: [String]) throws {
    for item in items.prefix(8) { try line(name, item) }
    if items.count > 8 { try line(name, "and \(items.count - 8) more") }
  }

  /// The sets of weights, the models in them, and what belongs to none.
  private func describeWeights(_ checkpoint: Checkpoint) throws {
    let models: [CheckpointNames.Model] = [.transformer, .tokenizer]
    let sets = checkpoint.sets(containing: models.map { CheckpointNames.mark(of: $0) })
    guard !sets.isEmpty else { return }
    try list("weights", sets.map(\.title))
    let choice = try weights.choice()
    let found = models.filter { !checkpoint.sets(containing: [CheckpointNames.mark(of: $0)]).isEmpty }
      .map { model in
        (model, Result { try checkpoint.weights(containing: CheckpointNames.mark(of: model), choice) })
      }
    // A name or prefix that fits one of the models need not fit the other.
    let fits = choice != WeightsChoice() && found.contains { (try? $0.1.get()) != nil }
    for (model, result) in found where !fits || (try? result.get()) != nil {
      try describe(model, in: checkpoint, result)
    }
    let used = Set(sets.flatMap(\.indices))
    let others = checkpoint.tensors.indices.filter { !used.contains($0) }.map { checkpoint.tensors[$0].name }
    if !others.isEmpty {
      let shown = others.prefix(3).joined(separator: ", ") + (others.count > 3 ? ", …" : "")
      try line("other tensors", "\(others.count), in no set of weights: \(shown)")
    }
  }

  /// The model in the file.
  private func describe(
    _ model: CheckpointNames.Model, in checkpoint: Checkpoint, _ found: Result<Checkpoint.Weights, any Error>
  ) throws {
    let title = model == .transformer ? "transformer" : "tokenizer"
    let fit: CheckpointReport
    do {
      let weights = try CheckpointWeights(checkpoint, found.get())
      try line(title, weights.wrapper.isEmpty ? "a bare state dictionary" : "under \(weights.wrapper)")
      fit = try CheckpointReport(weights, model, hints.hints())
    } catch let error where !(error is ExitCode) {
      try line("problem", MVARTool.describe(error))
      return
    }
    for (name, value) in fit.configuration { try line("  \(name)", value) }
    if let contradiction = fit.contradiction { try line("  mask", contradiction) }
    if let problem = fit.classNameProblem { try line("  problem", problem) }
    try line("  parameters", "\(fit.parameters)")
    for (name, found) in [("missing", fit.missing), ("misshapen", fit.misshapen), ("unexpected", fit.unexpected)] {
      if found.isEmpty { try line("  \(name)", "none") }
      for problem in found { try line("  \(name)", problem) }
    }
    if !fit.derived.isEmpty { try line("  recomputed, not used", fit.derived.joined(separator: ", ")) }
  }
}
