// The walk through the folders of a data set, and the account of what it leaves out. Every folder of a class is read
// once, whatever links lead to it, and none that holds the data set itself, so that no arrangement of links is endless.

import Foundation
import MVARFiles

/// What a data set holds and is not used, for one sentence of each kind.
struct UnusedFiles: Sendable, Equatable {
  /// Names of a kind; only the first ones are shown.
  private struct Names: Sendable, Equatable {
    var count = 0
    var first: [String] = []

    mutating func add(_ name: String) {
      count += 1
      if first.count < 5 { first.append(name) }
    }

    var text: String { first.joined(separator: ", ") + (count > first.count ? ", …" : "") }
  }

  /// Endings of images in formats that are not read.
  private static let imageEndings: Set<String> = [
    "apng", "avif", "bmp", "dib", "gif", "heic", "heif", "j2k", "jfif", "jp2", "jpe", "jpx", "jxl", "pbm", "pgm", "pnm",
    "ppm", "tga", "tif", "tiff", "webp",
  ]

  /// Files by their endings.
  private var endings: [String: Int] = [:]
  private var images = Names()
  private var otherNames = Names()
  private var hidden = Names()
  private var folders = Names()
  private var links = Names()

  /// Whether a file's name is an image's, of a format that is read or not.
  static func isImage(_ name: String) -> Bool {
    let ending = PathName.ending(name)
    return imageEndings.contains(ending) || ClassFolders.Rule.images(.refuse).endings.contains(ending)
  }

  /// Takes note of a file that is not hidden.
  ///
  /// - Parameter isOutside: whether it lies in no class folder, where any image is out of place.
  mutating func add(file path: String, isOutside: Bool, _ rule: ClassFolders.Rule) {
    let ending = PathName.ending(path)
    endings[ending, default: 0] += 1
    if Self.imageEndings.contains(ending) || isOutside && rule.endings.contains(ending) { images.add(path) }
  }

  /// Takes note of a name that is not UTF-8.
  mutating func add(otherName path: String) { otherNames.add(path) }
  /// Takes note of a hidden file or folder.
  mutating func add(hidden name: String) { hidden.add(name) }
  /// Takes note of a folder that belongs to no part of the data set.
  mutating func add(folder name: String) { folders.add(name) }
  /// Takes note of a link to a folder that is read elsewhere.
  mutating func add(link path: String) { links.add(path) }

  /// `12 files of 3 kinds are not used: .webp 7, .bmp 4, .txt 1`
  private var fileSentence: String? {
    let count = endings.values.reduce(0, +)
    guard count > 0 else { return nil }
    let kinds = endings.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
      .map { "\($0.key.isEmpty ? "without an ending" : ".\($0.key)") \($0.value)" }
    let shown = kinds.prefix(20).joined(separator: ", ") + (kinds.count > 20 ? ", …" : "")
    return
      "\(count) file\(count == 1 ? " is" : "s of \(kinds.count) kind\(kinds.count == 1 ? "" : "s") are") not used: \(shown)"
  }

  /// Why the data set is refused where bad files are; nil when no image is left out.
  var problem: String? {
    if otherNames.count > 0 {
      return
        "holds \(otherNames.count) name\(otherNames.count == 1 ? " that is" : "s that are") not UTF-8: \(otherNames.text)"
    }
    guard images.count > 0 else { return nil }
    return sentences.first
  }

  /// A sentence for each kind.
  var sentences: [String] {
    func sentence(_ names: Names, _ one: String, _ several: String) -> String? {
      names.count == 0
        ? nil : "\(names.count) \(names.count == 1 ? "\(one) is" : "\(several) are") not used: \(names.text)"
    }
    let imageNames = images.count > 0 ? "; images among them: \(images.text)" : ""
    return [
      fileSentence.map { $0 + imageNames }, sentence(otherNames, "name that is not UTF-8", "names that are not UTF-8"),
      sentence(hidden, "hidden file or folder", "hidden files or folders"),
      sentence(folders, "folder beside the classes", "folders beside the classes"),
      sentence(links, "link to a folder that is read elsewhere", "links to folders that are read elsewhere"),
    ].compactMap { $0 }
  }
}

/// A walk through a data set.
struct FolderWalk {
  /// What identifies a folder, whatever its name.
  private struct Identity: Hashable {
    let device: UInt64
    let number: UInt64
  }

  private(set) var unused = UnusedFiles()
  private let rule: ClassFolders.Rule
  private let dataSet: String
  /// The folders that the data set is in, and itself.
  private let above: Set<Identity>

  init(dataSet path: String, _ rule: ClassFolders.Rule) {
    self.rule = rule
    dataSet = PathName.trimmed(path)
    var above: Set<Identity> = []
    var place = path
    // ".." is what the system says it is, so this ends at the root, or at a folder that may not be examined.
    while let identity = Self.identity(place), above.insert(identity).inserted { place = PathName.join(place, "..") }
    self.above = above
  }

  private static func identity(_ path: String) -> Identity? {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    return Identity(
      device: UInt64(truncatingIfNeeded: status.st_dev), number: UInt64(truncatingIfNeeded: status.st_ino))
  }

  /// What comes before the names in a part of the data set: `val/`; empty for the whole.
  private func prefix(of root: String) -> String {
    PathName.trimmed(root).isExactly(dataSet) ? "" : "\(PathName.last(of: root))/"
  }

  /// Takes note of the folders that belong to no part of the data set, and of the files beside the parts.
  ///
  /// - Parameters:
  ///   - path: the folder of the data set.
  ///   - known: the names of its parts.
  ///   - files: the names of files that are used.
  mutating func noteFolders(of path: String, except known: [String], and files: [String]) throws(FileError) {
    for name in try FolderListing(path).names where !files.contains(where: { $0.isExactly(name) }) {
      let place = PathName.join(path, name)
      if known.contains(where: { $0.isExactly(name) }), try ClassFolders.isFolder(place) { continue }
      if PathName.isHidden(name) {
        unused.add(hidden: name)
      } else if try ClassFolders.isFolder(place) {
        unused.add(folder: name)
      } else {
        unused.add(file: name, isOutside: true, rule)
      }
    }
  }

  /// The names of the class folders in a folder.
  ///
  /// - Throws: `FileError` when the folder cannot be listed or holds a folder whose name is not UTF-8.
  mutating func classes(in root: String) throws(FileError) -> [String] {
    var found: [String] = []
    let listing = try FolderListing(root)
    if let name = listing.otherNames.first { throw FileError(root, "holds the name \(name), which is not UTF-8") }
    for name in listing.names {
      if PathName.isHidden(name) {
        unused.add(hidden: prefix(of: root) + name)
      } else if try ClassFolders.isFolder(PathName.join(root, name)) {
        found.append(name)
      } else {
        unused.add(file: prefix(of: root) + name, isOutside: true, rule)
      }
    }
    return found
  }

  /// The files of one class, folder after folder, sorted by the folders' paths and then by name.
  mutating func files(of folder: String, label: Int, className: String) throws(FileError) -> [ClassFolders.File] {
    let part = prefix(of: PathName.folder(of: folder))
    var known = above
    var waiting = [(path: folder, name: className)]
    var folders: [(path: String, name: String, files: [String])] = []
    while let next = waiting.popLast() {
      if let identity = Self.identity(next.path), !known.insert(identity).inserted {
        unused.add(link: part + next.name)
        continue
      }
      let listing = try FolderListing(next.path)
      for name in listing.otherNames { unused.add(otherName: "\(part)\(next.name)/\(name)") }
      var files: [String] = []
      for name in listing.names {
        let (path, shown) = (PathName.join(next.path, name), "\(next.name)/\(name)")
        var status = stat()
        if PathName.isHidden(name) {
          unused.add(hidden: part + shown)
        } else if stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
          waiting.append((path, shown))
        } else if rule.endings.contains(PathName.ending(name)) {
          files.append(name)
        } else {
          unused.add(file: part + shown, isOutside: false, rule)
        }
      }
      folders.append((next.path, next.name, files))
    }
    folders.sort { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }
    return folders.flatMap { folder in
      folder.files.map {
        ClassFolders.File(label: label, name: "\(folder.name)/\($0)", path: PathName.join(folder.path, $0))
      }
    }
  }
}
