// Finds the files of a labeled data set: `train/<class>/…` with an optional `val/<class>/…`, or class folders directly.
// Classes are numbered in the order of their folders' names, compared byte by byte as Python's `sorted` does. Hidden
// files, other extensions and folders inside class folders are ignored. It never looks into a file, and it descends
// exactly two levels, so that a link back to a parent folder cannot trap it.

import Foundation
import MVAR
import MVARFiles

/// The files of a labeled data set, by name only.
struct ClassFolders {
  /// A file and its class.
  struct File: Sendable {
    let label: Int
    /// The class and the file's name, `cat/12.png`.
    let name: String
    let path: String
  }

  /// The names of the classes; a label is an index into them.
  let classNames: [String]
  let training: [File]
  let validation: [File]

  /// Walks the folders.
  ///
  /// - Parameters:
  ///   - path: the folder of the data set.
  ///   - endings: the extensions of the files that count, in lower case, without the dot.
  ///   - noun: what the files are, for messages: `images`.
  ///   - heldOut: without `val/`, one in this many files of each class is held out for validation; 0 for none.
  /// - Throws: `FileError`.
  init(path: String, endings: [String], noun: String, heldOut: Int) throws(FileError) {
    guard heldOut >= 0 else { throw FileError(path, "cannot have one in \(heldOut) \(noun) held out") }
    guard try Self.isFolder(path) else { throw FileError(path, "is not a folder") }
    let trainingRoot = Self.join(path, "train")
    var hasTrainingFolder = false
    if Self.exists(trainingRoot) { hasTrainingFolder = try Self.isFolder(trainingRoot) }
    let root = hasTrainingFolder ? trainingRoot : path
    classNames = try Self.folders(in: root)
    guard !classNames.isEmpty else { throw FileError(root, "holds no class folders") }
    for name in classNames {
      if let problem = ClassNameRule.problem(with: name) {
        throw FileError(root, "holds the class folder \(ClassNameRule.quoted(name)), whose name \(problem)")
      }
    }

    var groups: [[File]] = []
    for (label, name) in classNames.enumerated() {
      groups.append(try Self.files(in: Self.join(root, name), label: label, className: name, endings: endings))
      if groups[label].isEmpty {
        let known = endings.map { ".\($0)" }.joined(separator: ", ")
        throw FileError(Self.join(root, name), "holds no \(noun) (\(known))")
      }
    }

    let validationRoot = Self.join(path, "val")
    if hasTrainingFolder, Self.exists(validationRoot), try Self.isFolder(validationRoot) {
      training = groups.flatMap { $0 }
      var held: [File] = []
      for name in try Self.folders(in: validationRoot) {
        let folder = Self.join(validationRoot, name)
        guard let label = classNames.firstIndex(of: name) else {
          throw FileError(folder, "is the folder of a class that train/ does not have")
        }
        held += try Self.files(in: folder, label: label, className: name, endings: endings)
      }
      validation = held
    } else {
      let split = HeldOut.split(groups, oneIn: heldOut, name: \.name)
      (training, validation) = (split.training, split.validation)
    }
  }

  /// The names of the folders in a folder.
  private static func folders(in folder: String) throws(FileError) -> [String] {
    var found: [String] = []
    for name in try entries(of: folder) where try isFolder(join(folder, name)) { found.append(name) }
    return found
  }

  /// The files of one class, sorted by name.
  private static func files(
    in folder: String, label: Int, className: String, endings: [String]
  ) throws(FileError) -> [File] {
    let names = try entries(of: folder).filter { name in
      guard let dot = name.lastIndex(of: ".") else { return false }
      return endings.contains(name[name.index(after: dot)...].lowercased())
    }
    return names.map { File(label: label, name: "\(className)/\($0)", path: join(folder, $0)) }
  }

  /// The visible names in a folder, in byte order.
  private static func entries(of folder: String) throws(FileError) -> [String] {
    let names: [String]
    do {
      names = try FileManager.default.contentsOfDirectory(atPath: folder)
    } catch {
      let reason = access(folder, R_OK | X_OK) == 0 ? "\(error.localizedDescription)" : "\(SystemError())"
      throw FileError(folder, "cannot be listed: \(reason)")
    }
    return names.filter { !$0.hasPrefix(".") }.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// A path inside a folder.
  static func join(_ folder: String, _ name: String) -> String {
    folder.hasSuffix("/") ? folder + name : "\(folder)/\(name)"
  }

  /// Whether anything has this name, even a dangling link.
  static func exists(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0
  }

  /// Whether a path leads to a folder; links are followed.
  ///
  /// - Throws: `FileError` when the path leads nowhere.
  static func isFolder(_ path: String) throws(FileError) -> Bool {
    var status = stat()
    try RegularFile.checkName(path)
    guard stat(path, &status) == 0 else {
      if errno == ENOENT { throw FileError(path, exists(path) ? "is a link that leads nowhere" : "does not exist") }
      throw FileError(path, "cannot be examined: \(SystemError())")
    }
    return status.st_mode & S_IFMT == S_IFDIR
  }
}
