// Reads the images of a data set file by file, on any thread: decoded, turned if wanted, and cropped to one size. It
// bounds the memory of images that are decoded at the same time, and remembers what was noteworthy about them.

import MVARFiles
import MVARMedia
import Synchronization

/// How files become examples.
final class ImageReader: Sendable {
  private let side: Int
  private let exif: ExifPolicy
  private let budget = MemoryBudget(LabeledImages.decodingBytes)
  private let noted = Mutex<[Noted]>([])

  private struct Noted {
    let name: String
    let damage: String?
    let orientation: Orientation
  }

  init(side: Int, exif: ExifPolicy) {
    self.side = side
    self.exif = exif
  }

  /// What was noteworthy; the first of a kind is the first by name, whatever the threads did.
  var notes: ImageNotes {
    var notes = ImageNotes()
    let all = noted.withLock { $0 }.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    for entry in all { notes.add(damage: entry.damage, orientation: entry.orientation, name: entry.name) }
    return notes
  }

  /// The image in a file, resized to the set's size.
  func example(of file: ClassFolders.File) throws(FileError) -> LabeledImages.Example {
    let pixels = try read(file.path) { (image) throws(FileError) in try cropped(image, file.path) }
    return LabeledImages.Example(label: file.label, name: file.name, pixels: pixels)
  }

  /// The tiles of a sheet, resized to the set's size.
  func examples(
    of sheet: ImageSheets.Sheet, label: Int, in index: ImageSheets
  ) throws(FileError) -> [LabeledImages.Example] {
    try read(index.path(of: sheet)) { (image) throws(FileError) in
      var examples: [LabeledImages.Example] = []
      for tile in try index.tiles(sheet, in: image) {
        let pixels = try cropped(tile, index.path(of: sheet))
        examples.append(LabeledImages.Example(label: label, name: "\(sheet.name)/\(examples.count)", pixels: pixels))
      }
      return examples
    }
  }

  /// Decodes a file when there is memory for it.
  private func read<Result>(
    _ path: String, _ body: (PixelImage) throws(FileError) -> Result
  ) throws(FileError) -> Result {
    do throws(FileError) {
      let share = budget.reserve(try ImageSize(path: path).decodingBytes)
      defer { budget.release(share) }
      let loaded = try LoadedImage.load(path)
      if loaded.damage != nil || loaded.orientation != .upright {
        noted.withLock { $0.append(Noted(name: path, damage: loaded.damage, orientation: loaded.orientation)) }
      }
      return try body(loaded.image(exif))
    } catch {
      throw FileError(path, because: error)
    }
  }

  private func cropped(_ image: PixelImage, _ path: String) throws(FileError) -> [UInt8] {
    if image.width == side && image.height == side { return image.pixels }
    do {
      return try image.centerCrop(side).pixels
    } catch {
      throw FileError(path, because: error)
    }
  }
}
