// A set of labeled images in memory: all of them decoded, cropped to one size and kept as bytes. It supports folders of
// classes and sheets of tiles; `ImageReader` reads one file. Flips, shifts and conversion to floating point happen later, when a batch is made;
// nothing here is random except the fixed choice of held-out images.

import Foundation
import MVARFiles
import MVARMedia

/// A set of labeled images, `side` × `side` each, for training and for validation.
public struct LabeledImages: Sendable {
  /// One image and its label.
  public struct Example: Sendable {
    /// The class, an index into ``LabeledImages/classNames``.
    public let label: Int
    /// The class and the file or the number of the tile: `cat/12.png`, `face/3`.
    public let name: String
    /// Red, green, blue of every pixel, row after row.
    public let pixels: [UInt8]  // [side, side, 3]

    /// An example from its parts.
    ///
    /// - Parameters:
    ///   - label: the class, from 0.
    ///   - name: how messages refer to it.
    ///   - pixels: [side, side, 3], red, green and blue interleaved.
    public init(label: Int, name: String, pixels: [UInt8]) {
      self.label = label
      self.name = name
      self.pixels = pixels
    }

    /// The image.
    ///
    /// - Precondition: the number of bytes matches a square image.
    public var image: PixelImage {
      let side = Int(Double(pixels.count / 3).squareRoot().rounded())
      guard let image = try? PixelImage(width: side, height: side, pixels: pixels) else {
        preconditionFailure("\(pixels.count) bytes are no square image")
      }
      return image
    }
  }

  /// The memory for images that are decoded at the same time: 512 MiB. One that needs more is decoded alone.
  public static let decodingBytes = 512 << 20

  /// The most bytes a set may take: 8 GiB.
  public static let mostBytes = 8 << 30

  /// The names of the classes; a label is an index into them.
  public let classNames: [String]
  /// The side of every image in pixels.
  public let side: Int
  /// The images to learn from, class after class.
  public let training: [Example]
  /// The images that are held out, class after class.
  public let validation: [Example]

  /// Reads a folder of images.
  ///
  /// Three layouts are supported: sheets (`index.json`), `train/<class>/` with an optional `val/<class>/`, and class
  /// folders directly; a class also has the images in folders within its own. Every image is cropped by
  /// `PixelImage.centerCrop(_:order:)`; smaller ones are enlarged. Several are decoded at once, as many as fit
  /// into ``decodingBytes``.
  ///
  /// - Parameters:
  ///   - path: the folder.
  ///   - side: the side of the images in pixels.
  ///   - badFiles: whether a file that cannot be used, also an image of an unknown format, ends reading with an error.
  ///   - heldOut: without `val/`, one in this many images of each class is held out, always the same ones; 0 for none.
  ///   - exif: what is done about the orientation that photographs' metadata give.
  ///   - onProblem: receives a sentence for each file that is skipped.
  ///   - onNote: receives a sentence for each kind of files that are not used or are noteworthy.
  ///   - onProgress: receives the number of files done and the total, several times.
  /// - Throws: `FileError`, one sentence that begins with the path.
  public init(
    path: String, side: Int, badFiles: BadFilePolicy = .refuse, heldOut: Int = 10,
    exif: ExifPolicy = .ignore, onProblem: (String) -> Void = { _ in }, onNote: (String) -> Void = { _ in },
    onProgress: (Int, Int) -> Void = { _, _ in }
  ) throws {
    guard side >= 1 && side <= ImageLimits.side && side * side <= ImageLimits.pixelCount else {
      throw FileError(path, "cannot be read as images of \(side) × \(side) pixels")
    }
    guard heldOut >= 0 else { throw FileError(path, "cannot have one in \(heldOut) images held out") }
    self.side = side
    let reader = ImageReader(side: side, exif: exif)
    if try ClassFolders.isFolder(path) && ClassFolders.exists(PathName.join(path, "index.json")) {
      let index = try ImageSheets(folder: path)
      classNames = index.sheets.map(\.name)
      try Self.checkMemory(index.sheets.reduce(0) { $0 + $1.count }, side: side, path)
      let sheets = Array(index.sheets.enumerated())
      let groups = try FileReader.read(
        sheets, badFiles: badFiles, onProblem: onProblem, onProgress: onProgress
      ) { sheet throws(FileError) in
        try reader.examples(of: sheet.element, label: sheet.offset, in: index)
      }
      try index.unused().sentences.forEach(onNote)
      (training, validation) = HeldOut.split(groups, oneIn: heldOut, name: \.name)
    } else {
      let folders = try ClassFolders(path: path, .images(badFiles), heldOut: heldOut)
      folders.unused.sentences.forEach(onNote)
      classNames = folders.classNames
      let files = folders.training.map { (file: $0, isTraining: true) }
      let others = folders.validation.map { (file: $0, isTraining: false) }
      try Self.checkMemory(files.count + others.count, side: side, path)
      let read = try FileReader.read(
        files + others, badFiles: badFiles, onProblem: onProblem, onProgress: onProgress
      ) { entry throws(FileError) in
        (example: try reader.example(of: entry.file), isTraining: entry.isTraining)
      }
      training = read.filter(\.isTraining).map(\.example)
      validation = read.filter { !$0.isTraining }.map(\.example)
    }
    reader.notes.sentences(exif).forEach(onNote)
    try checkEveryClass(path)
  }

  /// The side of the tiles of a folder of sheets; nil for other folders.
  ///
  /// - Throws: `FileError` where its index cannot be used.
  public static func tileSide(of path: String) throws -> Int? {
    guard try ClassFolders.isFolder(path), ClassFolders.exists(PathName.join(path, "index.json")) else { return nil }
    return try ImageSheets(folder: path).tile
  }

  private static func checkMemory(_ count: Int, side: Int, _ path: String) throws(FileError) {
    guard count <= mostBytes / (3 * side * side) else {
      throw FileError(
        path, "holds \(count) images, which at \(side) × \(side) pixels take more than \(mostBytes >> 30) GiB")
    }
  }

  /// The skipped files may have been all of a class.
  private func checkEveryClass(_ path: String) throws(FileError) {
    var counts = [Int](repeating: 0, count: classNames.count)
    for example in training { counts[example.label] += 1 }
    if let empty = counts.firstIndex(of: 0) {
      throw FileError(path, "has no image of the class \(classNames[empty]) that can be used")
    }
  }
}
