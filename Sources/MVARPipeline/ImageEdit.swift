// What of an image is to be redrawn: the image and its mask, brought to the size of a model, and how a result is shown
// beside it. Which tokens that concerns is decided by `EditMask`.

import MVAR
import MVARFiles
import MVARMedia

/// An image that is edited, and the pixels of it that are redrawn.
public struct ImageEdit: Hashable, Sendable {
  /// The image, n × n.
  public let image: PixelImage
  /// Whether each pixel is redrawn, row after row [n²].
  public let redrawn: [Bool]

  /// Prepares an image and its mask.
  ///
  /// The mask is an image of the same size: white is redrawn, black is kept. What counts is a luminance
  /// (299·red + 587·green + 114·blue)/1000 of 128 or more; transparency is ignored. With margins, the image is first put
  /// on a larger canvas, whose new pixels are redrawn as well and repeat the border until then. Of the canvas the middle
  /// square is brought to n × n, as for every image, and so is that of the mask, which is then divided at one half again.
  ///
  /// - Parameters:
  ///   - photo: an image of any size.
  ///   - mask: what to redraw; nil for the margins alone or, without margins, for every pixel.
  ///   - margins: what to add around the image.
  ///   - side: n, the side of a model's images.
  ///   - names: of the image and of the mask, for errors.
  /// - Throws: `FileError` when the mask has another size, when no pixel would be redrawn, or when the canvas is too large.
  public init(
    _ photo: PixelImage, mask: PixelImage? = nil, extending margins: CanvasMargins = .none, side: Int,
    names: (photo: String, mask: String) = ("the image", "the mask")
  ) throws(FileError) {
    if let mask, mask.width != photo.width || mask.height != photo.height {
      throw FileError(
        names.mask,
        "is \(mask.width) × \(mask.height) pixels, and \(names.photo) has \(photo.width) × \(photo.height): a mask is as "
          + "large as its image")
    }
    image = try photo.extended(by: margins).centerCrop(side)
    guard mask != nil || margins != .none else {
      redrawn = [Bool](repeating: true, count: side * side)
      return
    }
    let own = try mask.map { (mask) throws(FileError) in try Self.divided(mask) }
    if let own, margins == .none, !own.pixels.contains(255) {
      throw FileError(names.mask, "has no white pixel, so that nothing would be redrawn; transparency is ignored")
    }
    let canvas = try Self.canvas(own, of: photo, margins).centerCrop(side)
    redrawn = Self.isLight(canvas)
    guard mask != nil || redrawn.contains(false) else {
      throw FileError(names.photo, "lies outside the middle square of its canvas, so that nothing would be kept")
    }
    guard redrawn.contains(true) else {
      throw mask == nil
        ? FileError(
          names.photo,
          "is extended outside the middle square of its canvas only, so that nothing would be redrawn: extend all four sides"
        )
        : FileError(
          names.mask,
          "has no white area left in the middle square of \(side) × \(side) pixels, so that nothing would be "
            + "redrawn")
    }
  }

  /// The mask on the canvas: new pixels are white.
  private static func canvas(_ mask: PixelImage?, of photo: PixelImage, _ margins: CanvasMargins) throws(FileError)
    -> PixelImage
  {
    if let mask, margins == .none { return mask }
    var canvas = try PixelImage(
      width: photo.width + margins.left + margins.right, height: photo.height + margins.top + margins.bottom,
      filledWith: .white)
    if let mask {
      canvas.paste(mask, row: margins.top, column: margins.left)
    } else {
      let black = try PixelImage(width: photo.width, height: photo.height, filledWith: .black)
      canvas.paste(black, row: margins.top, column: margins.left)
    }
    return canvas
  }

  /// Black and white.
  private static func divided(_ mask: PixelImage) throws(FileError) -> PixelImage {
    try PixelImage(
      width: mask.width, height: mask.height,
      pixels: isLight(mask).flatMap { [UInt8](repeating: $0 ? 255 : 0, count: 3) })
  }

  /// Whether each pixel's luminance is 128 or more.
  private static func isLight(_ image: PixelImage) -> [Bool] {
    let bytes = image.pixels
    return stride(from: 0, to: bytes.count, by: 3).map {
      299 * Int(bytes[$0]) + 587 * Int(bytes[$0 + 1]) + 114 * Int(bytes[$0 + 2]) >= 128_000
    }
  }

  /// The tokens that are redrawn.
  ///
  /// - Parameters:
  ///   - scaleList: of the tokenizer.
  ///   - threshold: the least share of redrawn pixels in the cell of a redrawn token.
  ///   - keptScales: the number of coarse scales that are kept everywhere.
  /// - Throws: `RequestError` when a number is outside its range, `PipelineError` when no token would be redrawn.
  public func tokens(
    _ scaleList: ScaleList, threshold: Double = EditMask.defaultThreshold, keptScales: Int = 0
  ) throws -> EditMask {
    let mask = try EditMask(
      pixels: redrawn, side: image.width, scaleList: scaleList, threshold: threshold, keptScales: keptScales)
    guard mask.redrawnCount > 0 else {
      throw PipelineError.unusableRequest(
        keptScales == scaleList.count
          ? "all \(keptScales) scales are kept, so that nothing would be redrawn"
          : "no token's cell is masked to a share of \(threshold), so that nothing would be redrawn")
    }
    return mask
  }

  /// A result with the image's own pixels wherever they are not redrawn; the edge is hard.
  ///
  /// - Parameter result: n × n.
  /// - Throws: `FileError` when it has another size.
  public func pasted(into result: PixelImage) throws(FileError) -> PixelImage {
    guard result.width == image.width, result.height == image.height else {
      throw FileError(
        "the result",
        "is \(result.width) × \(result.height) pixels, and the edited image \(image.width) × \(image.height)")
    }
    var pixels = image.pixels
    for (place, isRedrawn) in redrawn.enumerated() where isRedrawn {
      pixels.replaceSubrange(3 * place..<3 * place + 3, with: result.pixels[3 * place..<3 * place + 3])
    }
    return try PixelImage(width: image.width, height: image.height, pixels: pixels)
  }

  /// The image with the pixels that are redrawn tinted.
  public var marked: PixelImage {
    var marked = image
    let tint = PixelImage.Color(red: 255, green: 0, blue: 128)
    for (place, isRedrawn) in redrawn.enumerated() where isRedrawn {
      let (row, column) = place.quotientAndRemainder(dividingBy: image.width)
      marked[row: row, column: column] = image[row: row, column: column].mixed(with: tint, share: 0.6)
    }
    return marked
  }
}
