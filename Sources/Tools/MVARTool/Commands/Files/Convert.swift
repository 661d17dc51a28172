// `mvar convert`: weights from one checkpoint format to another, bytes unchanged unless another type is requested.
//
// Wrappers, optimizer state and everything else that is not a weight are dropped.

import ArgumentParser
import MVAR
import MVARCheckpoints
import MVARFiles
import TensorCore

struct Convert: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Convert the weights of a checkpoint between .pth and .safetensors.",
    discussion: """
      The extension of OUT determines the format. Values keep their type and their bytes; everything that a training \
      script stored around the weights is left out.

        mvar convert mvar_d16.pth mvar_d16.safetensors

      Half the size, rounded to nearest: add --dtype float16 or --dtype bfloat16. The moving average of a file that also \
      holds the model itself: add --weights ema. A transformer for sampling with --precision int8, whose file is then used \
      in place:

        mvar convert mvar_d16.pth mvar_d16-int8.safetensors --to int8
      """)

  @Argument(help: "The checkpoint to read, in any format.")
  var input: String

  @Argument(help: "The checkpoint to write: .pth (also .pt, .bin) or .safetensors.")
  var output: String

  @Option(parsing: .unconditional, help: "Store weights as float32, float16 or bfloat16 (default: as they are).")
  var dtype: WeightType?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Store the weights of a transformer's linear layers as --precision bf16 or int8 keeps them.",
      discussion: "Everything else keeps its type; int8 weights get a scale for each output, NAME_scale."))
  var to: ShortType?

  @Flag(help: "Convert weights even if some of them are NaN or infinite.")
  var allowNonFinite = false

  @OptionGroup var weights: WeightsOptions

  func validate() throws {
    guard let to else { return }
    guard dtype == nil else { throw ValidationError("--to and --dtype exclude each other; use one of them") }
    guard output.lowercased().hasSuffix(".safetensors") else {
      throw ValidationError("--to \(to.rawValue) writes safetensors, which are used in place; name OUT.safetensors")
    }
  }

  func run() throws {
    try OutputFile.check(output, endings: [".pth", ".pt", ".bin", ".safetensors"], keeping: [input])
    let checkpoint = try Checkpoint.open(input)
    let found = try checkpoint.weights(
      weights.choice(), marks: [CheckpointNames.transformerMark, CheckpointNames.tokenizerMark])
    // An object in the place of a parameter would leave a model without it; others are no weights.
    for (name, object) in found.skipped
    where object.isTensor && !CheckpointNames.isDerived(name) || CheckpointNames.isParameter(name) {
      throw Failure("\(input): \(printable(name)) is \(object.reason)")
    }
    if let (name, kind) = found.others.first(where: { CheckpointNames.isParameter($0.name) }) {
      throw Failure("\(input): \(printable(name)) is \(kind), not a tensor")
    }
    try checkFinite(found.tensors)
    let tensors = try to.map { try shortened(CheckpointWeights(checkpoint, found), $0) } ?? converted(found.tensors)
    let lost = try unstatedAttention(checkpoint, found)
    if output.lowercased().hasSuffix(".safetensors") {
      var metadata = checkpoint.metadataEntries
      if let lost, !metadata.contains(where: { $0.key == ModelMetadata.attention }) {
        metadata.append((ModelMetadata.attention, lost.rawValue))
      }
      try SafetensorsWriter.write(tensors, metadataEntries: metadata, to: output)
    } else {
      try TorchWriter.write(tensors, to: output)
      if let lost {
        note("\(output) no longer says what its tokens attend to: use it with --attention \(lost.rawValue)")
      }
      let keys = checkpoint.metadataEntries.map(\.key)
      if !keys.isEmpty { note("\(output) has no metadata, in which \(input) states \(keys.joined(separator: ", "))") }
    }
    let bytes = tensors.reduce(0) { $0 + $1.tensor.byteCount }
    let origin = found.prefix.isEmpty ? "" : " from \(found.prefix)"
    try Console.print("\(output): \(tensors.count) tensors\(printable(origin)), \(Memory.text(bytes))")
    noteWhatIsLeftOut(checkpoint, found)
  }
}

extension Convert {
  private func note(_ sentence: String) { Console.note(printable("mvar: \(sentence)")) }

  private func checkFinite(_ tensors: [(name: String, tensor: StoredTensor)]) throws {
    guard !allowNonFinite else { return }
    let found = try NonFiniteTensors(tensors).descriptions
    guard let first = found.first else { return }
    let more = found.count > 1 ? " (and \(found.count - 1) more such tensor\(found.count > 2 ? "s" : ""))" : ""
    throw Failure(
      "\(input): the weights are not finite numbers: \(first)\(more); --allow-non-finite converts them as they are")
  }

  private func converted(_ tensors: [(name: String, tensor: StoredTensor)]) throws -> [(
    name: String, tensor: StoredTensor
  )] {
    guard let type = dtype?.scalarType else { return tensors }
    return try tensors.map { name, tensor in
      do {
        return (name, tensor.scalarType.isFloatingPoint ? try tensor.converted(to: type) : tensor)
      } catch let error as FileError {
        throw Failure("\(input): \(name) \(error.reason)")
      }
    }
  }

  /// The tensors with the weights of linear layers in short numbers.
  private func shortened(_ weights: CheckpointWeights, _ type: ShortType) throws -> [(
    name: String, tensor: StoredTensor
  )] {
    guard weights[CheckpointNames.transformerMark] != nil else {
      throw Failure("\(input): holds no transformer; --to is for the weights of its linear layers")
    }
    return try weights.tensors.flatMap { name, tensor -> [(name: String, tensor: StoredTensor)] in
      if weights.scaledWeight(name) != nil { return [] }  // Written with its weight.
      guard let role = CheckpointNames.roleOfLinearWeight(name), tensor.shape.count == 2 else {
        return [(name, tensor)]
      }
      return try weights.shortened(name, tensor, to: type.format.format(of: role))
    }
  }

  /// The pattern of a transformer that its tensors do not tell: the wrapper, which is dropped, or the metadata says it,
  /// and the training mask is missing or says otherwise. Nil where nothing is lost.
  private func unstatedAttention(_ checkpoint: Checkpoint, _ found: Checkpoint.Weights) throws -> AttentionPattern? {
    let weights = try CheckpointWeights(checkpoint, found)
    guard weights[CheckpointNames.transformerMark] != nil else { return nil }
    let bare = try weights.attentionOfMask() ?? .mvar
    let stated = checkpoint.metadata[ModelMetadata.attention].flatMap(AttentionPattern.init(rawValue:))
    let meant = stated ?? weights.attentionOfWrapper ?? bare
    return meant == bare ? nil : meant
  }

  private func noteWhatIsLeftOut(_ checkpoint: Checkpoint, _ found: Checkpoint.Weights) {
    let used = Set(found.indices)
    let others = checkpoint.tensors.indices.filter { !used.contains($0) }.map { checkpoint.tensors[$0].name }
    let objects = checkpoint.skipped.map(\.name)
    let parts = [(others, "tensor"), (objects, "object")].compactMap { names, kind -> String? in
      guard let first = names.first else { return nil }
      return "\(names.count) \(kind)\(names.count == 1 ? "" : "s") (\(names.count > 1 ? "the first " : "")\(first))"
    }
    if !parts.isEmpty { note("left out: \(parts.joined(separator: " and "))") }
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

/// What `--to` makes of the weights of linear layers.
enum ShortType: String, CaseIterable, ExpressibleByArgument {
  case bf16
  case int8

  var format: WeightFormat { self == .bf16 ? .bf16 : .int8 }
}
