// Finds the files of a labeled data set: `train/<class>/…` with an optional `val/<class>/…`, or class folders directly.
// Classes are numbered in the order of their folders' names, compared byte by byte as Python's `sorted` does, those of
// cached images in the order of the cache's own file if there is one (`ClassOrder`). A class has
// the files of its folder and of all folders in it, in the order of torchvision's `ImageFolder`; a folder that links lead
// back to is read once. What is not used is counted (`UnusedFiles`). It never looks into a file.

import Foundation
import MVAR
import MVARFiles

/// The files of a labeled data set, by name only.
package struct ClassFolders {
  /// A file and its class.
  struct File: Sendable {
    let label: Int
    /// The class and the file's path in its folder, `cat/12.png` or `cat/more/12.png`.
    let name: String
    let path: String
  }

  /// Which files count, and what is done about others.
  struct Rule: Sendable {
    /// The extensions of the files that count, in lower case, without the dot.
    let endings: [String]
    /// What the files are, for messages: `images`.
    let noun: String
    /// Whether files that look like images and are not read are an error.
    let badFiles: BadFilePolicy
    /// The names of the folders for training and validation, the first pair that exists.
    let parts: [(training: String, validation: String)]
    /// Whether a file may say in which order the classes are.
    var hasOrder = false

    static func images(_ badFiles: BadFilePolicy) -> Rule {
      Rule(endings: ["png", "jpg", "jpeg"], noun: "images", badFiles: badFiles, parts: [("train", "val")])
    }

    /// The authors' names come first: their folder has the images beside them.
    static func latents(_ badFiles: BadFilePolicy) -> Rule {
      Rule(
        endings: ["npz"], noun: "cached images", badFiles: badFiles,
        parts: [("train_cache_mvar", "val_cache_mvar"), ("train", "val")], hasOrder: true)
    }
  }

  /// The names of the classes; a label is an index into them.
  let classNames: [String]
  let training: [File]
  let validation: [File]
  /// What was found and is not used.
  private(set) var unused = UnusedFiles()

  /// The paths of all images of a data set in class folders, class after class.
  ///
  /// - Throws: `FileError`.
  package static func images(in path: String, badFiles: BadFilePolicy) throws(FileError) -> [String] {
    let folders = try ClassFolders(path: path, .images(badFiles), heldOut: 0)
    return (folders.training + folders.validation).map(\.path)
  }

  /// Walks the folders.
  ///
  /// - Parameters:
  ///   - path: the folder of the data set.
  ///   - rule: which files count.
  ///   - heldOut: without a folder for validation, one in this many files of each class is held out for it; 0 for none.
  /// - Throws: `FileError`.
  init(path: String, _ rule: Rule, heldOut: Int) throws(FileError) {
    guard heldOut >= 0 else { throw FileError(path, "cannot have one in \(heldOut) \(rule.noun) held out") }
    guard try Self.isFolder(path) else { throw FileError(path, "is not a folder") }
    let roots = try Self.roots(of: path, rule)
    var walk = FolderWalk(dataSet: path, rule)
    if roots.training != path {
      let known = rule.parts.flatMap { [$0.training, $0.validation] } + ["train", "val", "test"]
      try walk.noteFolders(of: path, except: known, and: rule.hasOrder ? [ClassOrder.fileName] : [])
    }
    let folderNames = try walk.classes(in: roots.training)
    classNames =
      rule.hasOrder
      ? try ClassOrder.ordered(folderNames, in: path, orAbove: rule.parts.map(\.training)) : folderNames
    guard !classNames.isEmpty else {
      let files = try FolderListing(roots.training).names.contains { rule.endings.contains(PathName.ending($0)) }
      let part = PathName.last(of: roots.training)
      let advice =
        !files
        ? ""
        : roots.training == path
          ? ", only \(rule.noun): put those of each class into a folder of its own"
          : ", only \(rule.noun): if \(part) is a class, put the folders of all classes into another folder \(part)"
      throw FileError(roots.training, "holds no class folders\(advice)")
    }
    for name in classNames {
      if let problem = ClassNameRule.problem(with: name) {
        throw FileError(
          roots.training, "holds the class folder \(ClassNameRule.quoted(name)), whose name \(problem)")
      }
    }

    var groups: [[File]] = []
    for (label, name) in classNames.enumerated() {
      let folder = PathName.join(roots.training, name)
      groups.append(try walk.files(of: folder, label: label, className: name))
      if groups[label].isEmpty {
        let known = rule.endings.map { ".\($0)" }.joined(separator: ", ")
        throw FileError(folder, "holds no \(rule.noun) (\(known))")
      }
    }

    if let validationRoot = roots.validation {
      training = groups.flatMap { $0 }
      var held: [[File]] = classNames.map { _ in [] }
      for name in try walk.classes(in: validationRoot) {
        let folder = PathName.join(validationRoot, name)
        guard let label = classNames.firstIndex(where: { $0.isExactly(name) }) else {
          throw FileError(folder, "is the folder of a class that \(PathName.last(of: roots.training))/ does not have")
        }
        held[label] = try walk.files(of: folder, label: label, className: name)
      }
      validation = held.flatMap { $0 }
    } else {
      let split = HeldOut.split(groups, oneIn: heldOut, name: \.name)
      (training, validation) = (split.training, split.validation)
    }
    unused = walk.unused
    if rule.badFiles == .refuse, let problem = unused.problem { throw FileError(path, problem) }
  }

  /// Where the class folders of a data set are; the folder itself if they are in no folder `train`.
  ///
  /// A folder `train` that holds no folders is itself a class if there are others beside it.
  ///
  /// - Throws: `FileError` when it is not clear.
  static func roots(of path: String, _ rule: Rule) throws(FileError) -> (training: String, validation: String?) {
    for (place, part) in rule.parts.enumerated() {
      let training = PathName.join(path, part.training)
      guard exists(training), try isFolder(training) else { continue }
      // Beside the authors' folder of cached images there may be one of images, with the usual name.
      for other in rule.parts[(place + 1)...] where rule.endings == ["npz"] {
        guard LatentCacheCounts.files(in: PathName.join(path, other.training)).isEmpty else {
          throw FileError(
            path, "holds \(rule.noun) in \(part.training)/ and in \(other.training)/: move one of the two elsewhere")
        }
      }
      let validation = PathName.join(path, part.validation)
      let others = try folders(in: path).filter { ![part.training, part.validation, "test"].contains($0) }
      if try folders(in: training).isEmpty {
        if !others.isEmpty { continue }
      } else if rule.badFiles == .refuse {
        for name in others {
          let names = try FolderListing(PathName.join(path, name)).names
          guard names.contains(where: { rule.endings.contains(PathName.ending($0)) }) else { continue }
          throw FileError(
            path,
            "holds the folder \(name) with \(rule.noun) beside \(part.training)/, which holds class folders: if "
              + "\(part.training) is a class too, put the folders of all classes into another folder \(part.training)")
        }
      }
      let hasValidation = exists(validation) ? try isFolder(validation) : false
      return (training, hasValidation ? validation : nil)
    }
    return (path, nil)
  }

  /// The folders that are read of a data set in a folder, of images or of cached tokens; none for sheets.
  package static func readFolders(of path: String) -> [String] {
    if exists(PathName.join(path, "index.json")) { return [] }
    var found: [String] = []
    for rule in [Rule.images(.skip), .latents(.skip)] {
      guard let roots = try? roots(of: path, rule) else { continue }
      found += [roots.training] + [roots.validation].compactMap { $0 }
    }
    return found.isEmpty ? [path] : found
  }

  /// The names of the folders in a folder that are not hidden.
  private static func folders(in folder: String) throws(FileError) -> [String] {
    var found: [String] = []
    for name in try FolderListing(folder).names where !PathName.isHidden(name) {
      if try isFolder(PathName.join(folder, name)) { found.append(name) }
    }
    return found
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
