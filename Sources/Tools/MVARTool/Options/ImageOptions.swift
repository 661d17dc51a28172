// Conversion between images and the models' tensors, and the options for displaying images.

import ArgumentParser
import MVAR
import MVARMedia
import TensorCore

/// How a value becomes a byte.
enum RoundingChoice: String, CaseIterable, ExpressibleByArgument {
  case truncate
  case nearest
}

/// How images are written.
struct ImageOptions: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: "How brightness becomes a byte: truncate, as the authors' scripts do, or nearest.")
  var rounding = RoundingChoice.truncate

  /// An image from the decoder's output [1, 3, H, W] in −1 … 1.
  ///
  /// - Parameter files: the models that made it, for an error.
  /// - Throws: `Failure` when there are values that are not finite.
  func image<B: Backend>(_ output: Tensor<B>, by files: String) throws -> PixelImage {
    try self.images(output, by: files)[0]
  }

  /// The images of a model's output [B, 3, H, W].
  ///
  /// - Parameter files: the models that made it, for an error.
  /// - Throws: `Failure` when there are values that are not finite.
  func images<B: Backend>(_ output: Tensor<B>, by files: String) throws -> [PixelImage] {
    let values = try output.scalars().map { Float($0) }
    let count = values.count / output.shape[0]
    return try (0..<output.shape[0]).map {
      try image(values[$0 * count..<($0 + 1) * count], width: output.shape[3], height: output.shape[2], by: files)
    }
  }

  private func image(_ values: ArraySlice<Float>, width: Int, height: Int, by files: String) throws -> PixelImage {
    var clamped = PixelImage.ClampedCounts()
    let image = try PixelImage(
      planar: values, width: width, height: height,
      rounding: rounding == .truncate ? .truncate : .nearest, countingClampedIn: &clamped)
    guard clamped.notANumber == 0 else {
      throw Failure(
        "\(files): the tokenizer's output is not made of finite numbers: its weights are damaged or do not fit")
    }
    return image
  }
}

extension PixelImage {
  /// The image as a model's input [1, 3, H, W] in −1 … 1.
  ///
  /// - Parameter flipped: whether the image is mirrored left to right.
  func tensor<B: Backend>(flipped: Bool = false, on device: B.Device) throws -> Variable<B> {
    var values = planarFloats()
    if flipped {
      for row in stride(from: 0, to: values.count, by: width) { values[row..<row + width].reverse() }
    }
    return Variable(try Tensor(values.map { B.Scalar($0) }, shape: [1, 3, height, width], on: device))
  }
}

/// How several images are combined into one.
struct GridOptions: ParsableArguments {
  @Option(parsing: .unconditional, help: "Images per row (default: as square as possible).")
  var columns: Int?

  func validate() throws {
    try Arguments.check("--columns", columns, in: 1...ImageLimits.side)
  }

  /// Refuses a grid that is too large for one image, before its images are made.
  ///
  /// - Parameter perRow: images that belong together in a row of their own; 1 for a plain grid.
  func check(count: Int, side: Int, perRow: Int = 1) throws {
    let columns = perRow > 1 ? perRow : min(columns ?? ImageGrid.defaultColumns(count), count)
    let rows = perRow > 1 ? count : (count + columns - 1) / columns
    let gap = ImageGrid().gap
    try ImageLimits.check(
      width: columns * (side + gap) - gap, height: rows * (side + gap) - gap, of: "one image of \(count) images")
  }
}
