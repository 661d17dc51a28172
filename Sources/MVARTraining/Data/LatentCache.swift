// Writes images as cached tokens: one npz per image, in train/<class>/<name>.npz and likewise val/, as published.
// Existing files that are complete are kept, so an interrupted run resumes where it stopped.

import Foundation
import MVAR
import MVARFiles
import TensorCore

/// Encodes images into a folder of tokens.
public struct LatentCache<B: Backend> {
  private let tokenizer: VQVAE<B>
  private let device: B.Device

  /// A cache made by a tokenizer.
  public init(_ tokenizer: VQVAE<B>, on device: B.Device) {
    self.tokenizer = tokenizer
    self.device = device
  }

  /// Writes all images of a data set.
  ///
  /// - Parameters:
  ///   - folder: where `train/` and, if images are held out, `val/` go; created if it does not exist.
  ///   - batch: how many images are encoded at once.
  ///   - onProgress: receives the number of images done and the total.
  /// - Throws: `FileError` when a folder or file cannot be written, or when two images would have the same file;
  ///   `NotANumberError` when the tokenizer's output is not finite.
  public func write(
    _ images: LabeledImages, to folder: String, batch: Int = 16, onProgress: (Int, Int) -> Void = { _, _ in }
  ) throws {
    let parts = [("train", images.training), ("val", images.validation)]
    let total = parts.reduce(0) { $0 + $1.1.count }
    var (done, known): (Int, Set<String>) = (0, [])
    for (part, examples) in parts where !examples.isEmpty {
      let folders = examples.map { "\(folder)/\(part)/\(images.classNames[$0.label])" }
      let paths = zip(folders, examples).map { folder, example in
        let file = ((example.name as NSString).lastPathComponent as NSString).deletingPathExtension
        return "\(folder)/\(file).npz"
      }
      for path in paths where !known.insert(path).inserted {
        throw FileError(path, "would be written twice: two images of the class differ in their ending only")
      }
      for start in stride(from: 0, to: examples.count, by: batch) {
        let rows = (start..<min(start + batch, examples.count)).filter { !isWhole(paths[$0]) }
        if !rows.isEmpty {
          let plain = try encode(rows.map { examples[$0].pixels }, side: images.side, flipped: false)
          let flipped = try encode(rows.map { examples[$0].pixels }, side: images.side, flipped: true)
          for (place, row) in rows.enumerated() {
            // Only now, so that a tokenizer that is refused leaves no empty folders.
            try RunFolder.createFolder(folders[row])
            try LatentFile(image: plain[place], flipped: flipped[place]).write(to: paths[row])
          }
        }
        done += min(start + batch, examples.count) - start
        onProgress(done, total)
      }
    }
  }

  private func isWhole(_ path: String) -> Bool {
    let configuration = tokenizer.configuration
    return
      (try? LatentFile(
        path: path, length: configuration.scaleList.length, codeWidth: configuration.codeWidth,
        vocabulary: configuration.vocabulary)) != nil
  }

  private func encode(_ pixels: [[UInt8]], side: Int, flipped: Bool) throws -> [LatentFile.Moments] {
    let labels = pixels.map { _ in 0 }
    var values = ImageBatch(labels: labels, pixels: pixels, side: side).images
    if flipped { for row in stride(from: 0, to: values.count, by: side) { values[row..<row + side].reverse() } }
    let images = try Tensor<B>(B.Scalar.array(values), shape: [pixels.count, 3, side, side], on: device)
    let batch = try TokenBatch(tokenizer, images: images, labels: labels)
    let inputs = try batch.inputs.scalars().map { Float($0) }
    let length = tokenizer.configuration.scaleList.length
    let each = inputs.count / pixels.count
    return pixels.indices.map {
      LatentFile.Moments(
        tokens: Array(batch.tokens[$0 * length..<($0 + 1) * length]), inputs: Array(inputs[$0 * each..<($0 + 1) * each])
      )
    }
  }
}
