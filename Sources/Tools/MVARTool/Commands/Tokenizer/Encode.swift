// `mvar encode`: images → tokens, in the layout of the published latent caches.

import ArgumentParser
import Foundation
import MVAR
import MVARCheckpoints
import MVARCollectives
import MVARFiles
import MVARMedia
import MVARTraining
import TensorCore

struct Encode: EngineCommand {
  static let precisions = CPUPrecisions.tokenizer
  static let isForRanks = true

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
    // Only the first rank writes.
    let outputs = Ranks.isRoot ? try self.outputs() : []
    let model: VQVAE<B> = try tokenizer.load([.encoder], on: device)
    try Ranks.checkSame { [("the tokenizer", SHA256.hexadecimal(try LatentOrigin.digest(of: model)))] }
    let progress = Progress()
    var notes = ImageNotes()
    try Ranks.current.share(images.count) { index in
      progress.report("encoding image \(index + 1) of \(images.count)")
      return try encode(images[index], with: model)
    } take: { index, image in
      notes.add(damage: image.damage, orientation: image.orientation, name: images[index])
      try NPZWriter.write(image.arrays(), to: outputs[index])
      try Console.print(outputs[index])
    }
    progress.finish()
    photographs.tell(notes)
  }

  /// Encodes an image.
  private func encode<B: Backend>(_ path: String, with model: VQVAE<B>) throws -> EncodedImage {
    let loaded = try LoadedImage.load(path)
    let image = try loaded.image(photographs.exif).centerCrop(model.configuration.imageSide)
    var (tokens, inputs): ([[Int]], [[Float]]) = ([], [])
    for flipped in [false, true] {
      let quantized = try tokenizer.encode(image, flipped: flipped, with: model)
      let values = try model.quantizer.inputs(sums: quantized.sums).value.scalars().map { Float($0) }  // [1, L − 1, Z]
      guard values.allSatisfy(\.isFinite) else { throw tokenizer.notNumbers }
      tokens.append(try quantized.tokens.flatMap { try $0.values() })
      inputs.append(values)
    }
    return EncodedImage(tokens: tokens, inputs: inputs, damage: loaded.damage, orientation: loaded.orientation)
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

/// What is written of an image, and what is said of it.
private struct EncodedImage: RankMessage {
  /// Of the image and of its mirror image, [L] each.
  let tokens: [[Int]]
  /// Of the image and of its mirror image, [L − 1, Z] each.
  let inputs: [[Float]]
  let damage: String?
  let orientation: Orientation

  /// The order of the published files: both kinds of tokens, then both kinds of inputs.
  func arrays() throws -> [(name: String, tensor: StoredTensor)] {
    let (length, suffixes) = (tokens[0].count, ["", "_flip"])
    return try zip(suffixes, tokens).map { ("moments_gt\($0)", try StoredTensor($1, shape: [length])) }
      + zip(suffixes, inputs).map {
        ("moments_x\($0)", try StoredTensor($1, shape: [length - 1, $1.count / max(length - 1, 1)]))
      }
  }
}

extension EncodedImage {
  var parts: [[UInt8]] {
    tokens.map { RankBytes.of($0) } + inputs.map { RankBytes.of($0) }
      + [Array((damage ?? "").utf8), RankBytes.of([orientation.rawValue])]
  }

  init(parts: [[UInt8]]) {
    tokens = parts[0..<2].map { RankBytes.numbers($0) }
    inputs = parts[2..<4].map { RankBytes.numbers($0) }
    damage = parts[4].isEmpty ? nil : String(decoding: parts[4], as: UTF8.self)
    orientation = RankBytes.numbers(parts[5], Int.self).first.flatMap { Orientation(rawValue: $0) } ?? .upright
  }
}
