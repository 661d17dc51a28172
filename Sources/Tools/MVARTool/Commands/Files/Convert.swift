// `mvar convert`: weights from one checkpoint format to another, bytes unchanged unless another type is requested.
//
// Wrappers, optimizer state and everything else that is not a weight are dropped.

import ArgumentParser
import MVAR
import MVARCheckpoints
import MVARFiles

struct Convert: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Convert the weights of a checkpoint between .pth and .safetensors.",
    discussion: """
      The extension of OUT determines the format. Values keep their type and their bytes; everything that a training \
      script stored around the weights is left out.

        mvar convert mvar_d16.pth mvar_d16.safetensors

      Half the size, rounded to nearest: add --dtype float16 or --dtype bfloat16.
      """)

  @Argument(help: "The checkpoint to read, in any format.")
  var input: String

  @Argument(help: "The checkpoint to write: .pth (also .pt, .bin) or .safetensors.")
  var output: String

  @Option(parsing: .unconditional, help: "Store weights as float32, float16 or bfloat16 (default: as they are).")
  var dtype: WeightType?

  func run() throws {
    try OutputFile.check(output, endings: [".pth", ".pt", ".bin", ".safetensors"], keeping: [input])
    let checkpoint = try Checkpoint.open(input)
    var (wrapper, tensors) = try checkpoint.weights()
    if let type = dtype?.scalarType {
      tensors = try tensors.map { name, tensor in
        do {
          return (name, tensor.scalarType.isFloatingPoint ? try tensor.converted(to: type) : tensor)
        } catch let error as FileError {
          throw Failure("\(input): \(name) \(error.reason)")
        }
      }
    }
    let lost = try attentionOfWrapper(tensors, checkpoint)
    if output.lowercased().hasSuffix(".safetensors") {
      var metadata = checkpoint.metadata
      if let lost { metadata[ModelMetadata.attention] = lost.rawValue }
      try SafetensorsWriter.write(tensors, metadata: metadata, to: output)
    } else {
      try TorchWriter.write(tensors, to: output)
      if let lost {
        Console.note(
          printable(
            "mvar: \(output) holds the mask of another model and no longer says what it is: use it with --attention "
              + lost.rawValue))
      }
    }
    let bytes = tensors.reduce(0) { $0 + $1.tensor.byteCount }
    let origin = wrapper.isEmpty ? "" : " from \(wrapper)"
    try Console.print("\(output): \(tensors.count) tensors\(printable(origin)), \(Memory.text(bytes))")
  }
}

extension Convert {
  /// The pattern that only the wrapper's name specifies, where the stored training mask contradicts it: as the wrapper
  /// is dropped, it must be stored elsewhere. Nil where nothing is lost.
  private func attentionOfWrapper(
    _ tensors: [(name: String, tensor: StoredTensor)], _ checkpoint: Checkpoint
  ) throws -> AttentionPattern? {
    guard checkpoint.metadata[ModelMetadata.attention] == nil,
      tensors.contains(where: { $0.name == CheckpointNames.transformerMark })
    else { return nil }
    let weights = try CheckpointWeights(path: input, .transformer)
    return try weights.contradictingMask() == nil ? nil : weights.attentionOfWrapper
  }
}

/// The types weights can be stored as.
enum WeightType: String, CaseIterable, ExpressibleByArgument {
  case float32
  case float16
  case bfloat16

  var scalarType: ScalarType {
    switch self {
    case .float32: .float32
    case .float16: .float16
    case .bfloat16: .bfloat16
    }
  }
}
