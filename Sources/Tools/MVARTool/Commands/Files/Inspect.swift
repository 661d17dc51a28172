// `mvar inspect`: what a file is, and how well it fits the model it appears to be. Nothing is computed and no weights
// are read: only headers and names.

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
      For a checkpoint: its format, its model with the configuration, and every parameter that is missing, \
      unexpected or of the wrong shape. Also for .npz and .npy files, golden files and images.

        mvar inspect mvar_d16.pth
      """)

  @Argument(help: "The file.")
  var file: String

  @Flag(help: "List every tensor.")
  var tensors = false

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
    for (key, value) in checkpoint.metadata.sorted(by: { $0.key < $1.key }) {
      try line("metadata", "\(key): \(value.count > 100 ? "\(value.prefix(100))…" : value)")
    }
    if checkpoint.format != .npy, checkpoint.format != .npz {
      let names = Set(checkpoint.tensors.map { $0.name })
      for (model, mark) in [
        (CheckpointNames.Model.transformer, CheckpointNames.transformerMark),
        (.tokenizer, CheckpointNames.tokenizerMark),
      ] where names.contains(where: { $0 == mark || $0.hasSuffix(".\(mark)") }) {
        try describe(model)
      }
    }
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
  }

  /// The model in the file.
  private func describe(_ model: CheckpointNames.Model) throws {
    let title = model == .transformer ? "transformer" : "tokenizer"
    let fit: CheckpointReport
    do {
      let weights = try CheckpointWeights(path: file, model)
      try line(title, weights.wrapper.isEmpty ? "a bare state dictionary" : "under \(weights.wrapper)")
      fit = try CheckpointReport(weights, model, hints.hints())
    } catch let error where !(error is ExitCode) {
      try line("problem", MVARTool.describe(error))
      return
    }
    for (name, value) in fit.configuration { try line("  \(name)", value) }
    if let contradiction = fit.contradiction { try line("  mask", contradiction) }
    try line("  parameters", "\(fit.parameters)")
    for (name, found) in [("missing", fit.missing), ("misshapen", fit.misshapen), ("unexpected", fit.unexpected)] {
      if found.isEmpty { try line("  \(name)", "none") }
      for problem in found { try line("  \(name)", problem) }
    }
    if !fit.derived.isEmpty { try line("  recomputed", fit.derived.joined(separator: ", ")) }
  }
}
