// Reads a folder whose images come as sheets: `index.json` names one sheet for each class, an image full of square
// tiles from left to right and top to bottom. It reads the index and cuts out tiles; it does not resize or split.
//
//   {"tile": 64, "columns": 32, "classes": [{"name": "face", "file": "face.png", "count": 107}, …]}

import Foundation
import MVAR
import MVARCheckpoints
import MVARFiles
import MVARMedia

/// The index of a folder of sheets.
struct ImageSheets {
  /// One class: a sheet and how many tiles of it are used.
  struct Sheet: Decodable, Sendable {
    let name: String
    let file: String
    let count: Int
  }

  private struct Index: Decodable {
    let tile: Int
    let columns: Int
    let classes: [Sheet]
  }

  /// The largest index that is read, in bytes.
  static let largestIndex = 1 << 22

  /// The side of a tile in pixels.
  let tile: Int
  /// Tiles per row of a sheet.
  let columns: Int
  /// One sheet for each class.
  let sheets: [Sheet]
  private let folder: String

  /// Reads and checks `index.json` of a folder.
  ///
  /// - Throws: `FileError`.
  init(folder: String) throws(FileError) {
    let path = PathName.join(folder, "index.json")
    let index = try Self.readIndex(path)
    func check(_ condition: Bool, _ problem: @autoclosure () -> String) throws(FileError) {
      if !condition { throw FileError(path, problem()) }
    }
    let sides = 1...ImageLimits.side
    try check(sides.contains(index.tile), "has tiles of \(index.tile) pixels, and a side is 1 to \(sides.upperBound)")
    try check(
      sides.contains(index.columns), "has \(index.columns) columns, and a sheet has 1 to \(sides.upperBound)")
    try check(!index.classes.isEmpty, "names no classes")
    // By their bytes: two spellings of "é" are two names, as they are two folders.
    var names: Set<[UInt8]> = []
    for sheet in index.classes {
      try check(!sheet.name.isEmpty, "has a class without a name")
      if let problem = ClassNameRule.problem(with: sheet.name) {
        throw FileError(path, "names the class \(ClassNameRule.quoted(sheet.name)), which \(problem)")
      }
      try check(names.insert(Array(sheet.name.utf8)).inserted, "names the class \(sheet.name) twice")
      try check(sheet.count > 0, "gives the class \(sheet.name) \(sheet.count) images, and it needs at least 1")
      try check(
        sheet.count <= ImageLimits.pixelCount / (index.tile * index.tile),
        "gives the class \(sheet.name) \(sheet.count) tiles of \(index.tile) pixels, more than a sheet can hold")
      try check(
        !sheet.file.isEmpty && sheet.file != "." && sheet.file != ".."
          && !sheet.file.utf8.contains { $0 == 0 || $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\") },
        "gives the class \(sheet.name) the sheet \"\(sheet.file)\", which is not a plain file name")
    }
    self.folder = folder
    tile = index.tile
    columns = index.columns
    sheets = index.classes
  }

  /// Takes note of images beside the sheets; other files, such as models, are no part of the data.
  func unused() throws(FileError) -> UnusedFiles {
    let known = Set(sheets.map { ExactText($0.file) })
    var unused = UnusedFiles()
    for name in try FolderListing(folder).names where !known.contains(ExactText(name)) && !PathName.isHidden(name) {
      if try ClassFolders.isFolder(PathName.join(folder, name)) {
        unused.add(folder: name)
      } else if UnusedFiles.isImage(name) {
        unused.add(file: name, isOutside: true, .images(.refuse))
      }
    }
    return unused
  }

  /// Where the sheet of a class is.
  func path(of sheet: Sheet) -> String { PathName.join(folder, sheet.file) }

  /// The tiles of one class, each `tile` × `tile`.
  ///
  /// - Throws: `FileError` when the sheet is too small for its count.
  func tiles(_ sheet: Sheet, in image: PixelImage) throws(FileError) -> [PixelImage] {
    let path = path(of: sheet)
    let rows = (sheet.count - 1) / columns + 1
    let width = min(sheet.count, columns) * tile
    guard image.width >= width && image.height >= rows * tile else {
      throw FileError(
        path,
        "is \(image.width) × \(image.height) pixels, and \(sheet.count) tiles need \(width) × \(rows * tile)")
    }
    do {
      return try (0..<sheet.count).map { number in
        try cut(image, row: number / columns * tile, column: number % columns * tile)
      }
    } catch {
      throw FileError(path, because: error)
    }
  }

  private func cut(_ image: PixelImage, row: Int, column: Int) throws(FileError) -> PixelImage {
    var pixels: [UInt8] = []
    pixels.reserveCapacity(3 * tile * tile)
    for y in row..<(row + tile) {
      let start = 3 * (y * image.width + column)
      pixels += image.pixels[start..<(start + 3 * tile)]
    }
    return try PixelImage(width: tile, height: tile, pixels: pixels)
  }

  private static func readIndex(_ path: String) throws(FileError) -> Index {
    let bytes = Data(try RegularFile.contents(of: path, limit: largestIndex, for: "an index"))
    do {
      let index = try JSONDecoder().decode(Index.self, from: bytes)
      // A key that occurs twice, of which the decoder takes one.
      _ = try StrictJSON(parsing: ByteRegion(Array(bytes)), subject: "it", fractions: true)
      return index
    } catch let error as FileError {
      throw FileError(path, "is not an index of sheets: \(error.reason)")
    } catch let error as DecodingError {
      throw FileError(path, "is not an index of sheets: \(reason(error, bytes))")
    } catch {
      throw FileError(path, because: error)
    }
  }

  private static func reason(_ error: DecodingError, _ bytes: Data) -> String {
    func place(_ keys: [any CodingKey]) -> String {
      keys.isEmpty
        ? "the whole"
        : keys.map { key in key.intValue.map { "[\($0)]" } ?? ".\(key.stringValue)" }.joined().trimmingPrefix(".")
          .description
    }
    switch error {
    case .keyNotFound(let key, let context): return "\(place(context.codingPath + [key])) is missing"
    case .valueNotFound(_, let context): return "\(place(context.codingPath)) is null"
    case .typeMismatch(let type, let context):
      let kind = type == Int.self ? "an integer" : type == String.self ? "a text" : "of the right kind"
      return "\(place(context.codingPath)) is not \(kind)"
    case .dataCorrupted:
      let isJSON = (try? JSONSerialization.jsonObject(with: bytes)) != nil
      return isJSON ? "a number in it is out of range" : "it is not valid JSON"
    @unknown default: return "it cannot be decoded"
    }
  }
}
