// The order of the classes of cached images. Class folders are numbered by their names, the sheets of images by their
// index. A cache whose folders' names would give another order has a file that says it, so that a training on it has the
// same classes.

import MVAR
import MVARFiles

/// The file `classes.txt` of a cache: the name of each class, one per line, from class 0.
enum ClassOrder {
  static let fileName = "classes.txt"
  private static let mostBytes = 1 << 24

  /// Refuses names that a cache cannot have, and a file of this name that holds something else.
  ///
  /// - Throws: `FileError`.
  static func check(_ names: [String], of folder: String) throws(FileError) {
    if let hidden = names.first(where: PathName.isHidden) {
      throw FileError(
        folder, "the class \(ClassNameRule.quoted(hidden)) would have a hidden folder, which no training reads")
    }
    let path = PathName.join(folder, fileName)
    guard ClassFolders.exists(path) else { return }
    var known = Set(names.map { ExactText($0) })
    for part in ["train", "val"] where ClassFolders.exists(PathName.join(folder, part)) {
      known.formUnion(try FolderListing(PathName.join(folder, part)).names.map { ExactText($0) })
    }
    if let stranger = try lines(of: path).first(where: { !$0.isEmpty && !known.contains(ExactText($0)) }) {
      throw FileError(
        path,
        "would be replaced by the names of the classes, and \(ClassNameRule.quoted(stranger)) is none of this cache: move "
          + "the file, or cache into another folder")
    }
  }

  /// Writes the file where it says something else, or is missing and the folders' names would give another order.
  ///
  /// - Throws: `FileError` when it cannot be written.
  static func write(_ names: [String], to folder: String) throws {
    let path = PathName.join(folder, fileName)
    let text = Array((names.joined(separator: "\n") + "\n").utf8)
    if ClassFolders.exists(path) {
      if try RegularFile.contents(of: path, limit: mostBytes, for: "names of classes") == text { return }
    } else if zip(names, names.dropFirst()).allSatisfy({ $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
      return
    }
    try FileReplacement.write(text, to: path)
  }

  /// The names of class folders, in the order of the data set's file if it has one.
  ///
  /// - Parameters:
  ///   - names: what folders there are, sorted.
  ///   - folder: the folder of the data set.
  ///   - parts: the names of folders for training, whose file is beside them.
  /// - Throws: `FileError` when the file cannot be read, or names other classes.
  static func ordered(_ names: [String], in folder: String, orAbove parts: [String]) throws(FileError) -> [String] {
    var path = PathName.join(folder, fileName)
    if !ClassFolders.exists(path), parts.contains(PathName.last(of: PathName.trimmed(folder))) {
      path = PathName.join(PathName.join(folder, ".."), fileName)
    }
    guard ClassFolders.exists(path) else { return names }
    let lines = try lines(of: path)
    var rest = Set(names.map { ExactText($0) })
    for (place, name) in lines.enumerated() where rest.remove(ExactText(name)) == nil {
      let problem = names.contains { $0.isExactly(name) } ? "it has named before" : "has no folder"
      throw FileError(
        path, "line \(place + 1) names the class \(ClassNameRule.quoted(name)), which \(problem)")
    }
    if let name = names.first(where: { rest.contains(ExactText($0)) }) {
      throw FileError(path, "does not name the class \(ClassNameRule.quoted(name)), which has a folder")
    }
    return lines
  }

  private static func lines(of path: String) throws(FileError) -> [String] {
    let bytes = try RegularFile.contents(of: path, limit: mostBytes, for: "names of classes")
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw FileError(path, "is not a text file of class names")
    }
    var lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).map(String.init)
    if lines.last?.isEmpty == true { lines.removeLast() }
    return lines
  }
}
