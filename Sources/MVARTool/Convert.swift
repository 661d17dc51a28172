// `mvar convert`: weights from one checkpoint format to another, bytes unchanged.
//
// Wrappers, optimiser state and everything else that is not a weight stay behind.

import ArgumentParser
import Checkpoints

struct Convert: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Convert the weights of a checkpoint between .pth and .safetensors.",
    discussion: """
      The ending of OUT decides the format. Numbers keep their type and their bytes; whatever a training script wrapped \
      around the weights is left out.

        mvar convert mvar_d16.pth mvar_d16.safetensors
      """)

  @Argument(help: "The checkpoint to read, in any format.")
  var input: String

  @Argument(help: "The checkpoint to write: .pth (also .pt, .bin) or .safetensors.")
  var output: String

  func run() throws {
    try OutputFile.check(output, endings: [".pth", ".pt", ".bin", ".safetensors"], keeping: [input])
    let checkpoint = try Checkpoint.open(input)
    let (wrapper, tensors) = try checkpoint.weights()
    if output.lowercased().hasSuffix(".safetensors") {
      try SafetensorsWriter.write(tensors, metadata: checkpoint.metadata, to: output)
    } else {
      try TorchWriter.write(tensors, to: output)
    }
    let bytes = tensors.reduce(0) { $0 + $1.tensor.byteCount }
    let origin = wrapper.isEmpty ? "" : " from \(wrapper)"
    try Console.print("\(output): \(tensors.count) tensors\(Console.singleLine(origin)), \(Memory.text(bytes))")
  }
}
