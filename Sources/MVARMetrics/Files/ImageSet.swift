// A set of images to measure: an array in an npz, a folder of image files, or images in memory. Images are handed out in
// batches; an array is read piece by piece, also where it is compressed, so memory does not grow with their number.

import MVARCheckpoints
import MVARFiles
import MVARMedia

/// Images, in order.
public struct ImageSet: Sendable {
  private enum Source: Sendable {
    case array(StoredTensor, path: String)
    case files([String])
    case images([PixelImage])
  }

  private let source: Source
  /// How many images there are, at least 1.
  public let count: Int

  /// The images of an array, uint8 [N, H, W, 3].
  ///
  /// - Throws: `FileError` where it is something else.
  public init(_ array: StoredTensor, name: String, path: String) throws {
    let shape = array.shape
    guard shape.count == 4, shape[3] == 3, shape[0] >= 1, array.scalarType == .uint8 else {
      throw FileError(
        path,
        "the array \(printable(name, limit: 80)) is \(array.scalarType) \(shape), and images are uint8 [N, H, W, 3] with at least one"
      )
    }
    try ImageLimits.check(width: shape[2], height: shape[1], of: path)
    (source, count) = (.array(array, path: path), shape[0])
  }

  /// The image files (`.png`, `.jpg`, `.jpeg`) of a folder, in the order of their names.
  ///
  /// - Parameters:
  ///   - folder: the folder; folders in it do not count.
  ///   - skipsBadFiles: whether a file that cannot be read is left out; each is then read twice.
  ///   - onProblem: receives a sentence for each file that is left out.
  /// - Throws: `FileError` where there are none.
  public init(folder: String, skipsBadFiles: Bool = false, onProblem: (String) -> Void = { _ in }) throws {
    let names = try FolderListing(folder).names.filter { name in
      !name.hasPrefix(".") && [".png", ".jpg", ".jpeg"].contains { name.lowercased().hasSuffix($0) }
    }
    try self.init(
      files: names.map { PathName.join(folder, $0) }, of: folder, skipsBadFiles: skipsBadFiles, onProblem: onProblem)
  }

  /// Image files in a given order, as they are.
  ///
  /// - Parameters:
  ///   - files: their paths.
  ///   - folder: where they were found, for an error.
  ///   - skipsBadFiles: whether a file that cannot be read is left out; each is then read twice.
  ///   - onProblem: receives a sentence for each file that is left out.
  /// - Throws: `FileError` where there are none.
  package init(
    files: [String], of folder: String, skipsBadFiles: Bool = false, onProblem: (String) -> Void = { _ in }
  ) throws {
    let usable = files.filter { path in
      guard skipsBadFiles else { return true }
      do {
        _ = try PixelImage.load(path)
        return true
      } catch {
        onProblem("\(error)")
        return false
      }
    }
    guard !usable.isEmpty else { throw FileError(folder, "the folder holds no images (.png, .jpg)") }
    (source, count) = (.files(usable), usable.count)
  }

  /// Images in memory, at least one.
  public init(_ images: [PixelImage]) {
    precondition(!images.isEmpty, "a set without images")
    (source, count) = (.images(images), images.count)
  }

  /// Calls `body` with all images in order, a batch at a time.
  ///
  /// - Parameters:
  ///   - size: how many images a batch has; the last may have fewer.
  ///   - body: receives the images of a batch.
  /// - Throws: `FileError` where an image cannot be read; what `body` throws.
  public func forEachBatch(_ size: Int, _ body: ([PixelImage]) throws -> Void) throws {
    precondition(size >= 1, "batches of \(size) images")
    switch source {
    case .images(let images):
      for start in stride(from: 0, to: count, by: size) {
        try body(Array(images[start..<min(start + size, count)]))
      }
    case .files(let files):
      for start in stride(from: 0, to: count, by: size) {
        try body(try files[start..<min(start + size, count)].map { try PixelImage.load($0) })
      }
    case .array(let array, let path):
      let (height, width) = (array.shape[1], array.shape[2])
      let each = 3 * width * height
      var (batch, pixels) = ([PixelImage](), [UInt8]())
      do {
        try array.forEachPiece { piece in
          var rest = piece[...]
          while !rest.isEmpty {
            let taken = rest.prefix(each - pixels.count)
            pixels.append(contentsOf: taken)
            rest = rest.dropFirst(taken.count)
            guard pixels.count == each else { continue }
            batch.append(try PixelImage(width: width, height: height, pixels: pixels))
            pixels = []
            if batch.count == size {
              try body(batch)
              batch = []
            }
          }
        }
      } catch let error as FileError where error.path == nil {
        throw FileError(path, error.reason)
      }
      if !batch.isEmpty { try body(batch) }
    }
  }

  /// The first image.
  public func first() throws -> PixelImage {
    struct Found: Error { let image: PixelImage }
    do {
      try forEachBatch(1) { throw Found(image: $0[0]) }
    } catch let found as Found {
      return found.image
    }
    throw MeasureError("there is no image")
  }
}
