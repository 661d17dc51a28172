// `mvar encode`: images → tokens, in the layout of the published latent caches.

import ArgumentParser
import Foundation
import MVAR
import MVARCheckpoints
import MVARFiles
import MVARMedia
import TensorCore

struct Encode: EngineCommand {
  static let precisions = CPUPrecisions.tokenizer

  static let configuration = CommandConfiguration(
    abstract: "Encode images into tokens.",
    discussion: """
      Writes one .npz per image with `moments_gt` (the tokens, int64), `moments_x` (the transformer's inputs, float32) \
      and both again for the image flipped left to right. With several images, or if the output is a folder, the files \
      are named after the images.

        mvar encode cat.jpg --tokenizer vae_ch160v4096z32.pth -o cat.npz
      """)

  @Argument(help: "The images, PNG or JPEG.")
  var images: [String]

  @Option(name: [.short, .long], parsing: .unconditional, help: "The file (.npz), or the folder for several images.")
  var output: String

  @OptionGroup var photographs: PhotographOptions
  @OptionGroup var tokenizer: TokenizerOptions

  var engine: EngineOptions { tokenizer.engine }

  func run<B: Backend, D: EngineDevice>(on engine: B.Type, device: D) throws where B.Device == D {
    let outputs = try self.outputs()
    let model: VQVAE<B> = try tokenizer.load([.encoder], on: device)
    let progress = Progress()
    var notes = ImageNotes()
    for (index, path) in images.enumerated() {
      let image = try photographs.load(path, &notes).centerCrop(model.configuration.imageSide)
      var arrays: [(name: String, tensor: StoredTensor)] = []
      for (suffix, flipped) in [("", false), ("_flip", true)] {
        progress.report("encoding image \(index + 1) of \(images.count)")
        let quantized = try tokenizer.encode(image, flipped: flipped, with: model)
        let tokens = try quantized.tokens.flatMap { try $0.values() }
        let inputs = model.quantizer.inputs(sums: quantized.sums).value  // [1, L − 1, Z]
        let values = try inputs.scalars().map { Float($0) }
        guard values.allSatisfy(\.isFinite) else { throw tokenizer.notNumbers }
        arrays.append(("moments_gt\(suffix)", try StoredTensor(tokens, shape: [tokens.count])))
        arrays.append(("moments_x\(suffix)", try StoredTensor(values, shape: [inputs.shape[1], inputs.shape[2]])))
      }
      // The order of the published files: both kinds of tokens, then both kinds of inputs.
      try NPZWriter.write([arrays[0], arrays[2], arrays[1], arrays[3]], to: outputs[index])
      try Console.print(outputs[index])
    }
    progress.finish()
    photographs.tell(notes)
  }

  /// Where the tokens of each image go.
  private func outputs() throws -> [String] {
    var isFolder: ObjCBool = false
    let exists = FileManager.default.fileExists(atPath: output, isDirectory: &isFolder)
    if images.count == 1, !PathName.endsWithSlash(output), !(exists && isFolder.boolValue) {
      try OutputFile.check(output, endings: [".npz"], keeping: images + [tokenizer.tokenizer])
      return [output]
    }
    let outputs = images.map { image in
      return "\(output)/\(PathName.withoutEnding(PathName.last(of: PathName.trimmed(image)))).npz"
    }
    // By their bytes: names that are written alike may differ in them.
    var known: [[UInt8]: String] = [:]
    for (image, path) in zip(images, outputs) {
      if let other = known.updateValue(image, forKey: Array(path.utf8)) {
        throw Failure("\(other) and \(image) would both be written to \(path)")
      }
    }
    for image in images { _ = try MappedFile(path: image) }
    try OutputFile.makeFolder(output)
    for path in outputs { try OutputFile.check(path, endings: [".npz"], keeping: images + [tokenizer.tokenizer]) }
    return outputs
  }
}
