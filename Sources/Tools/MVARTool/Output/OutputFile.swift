// Finds out whether an output can be written before hours are spent on computing it. The files themselves are written
// under a temporary name and renamed, by the libraries.

import Foundation
import MVARFiles

/// Checks of the paths where results will be written.
enum OutputFile {
  /// Refuses a file that could not be written.
  ///
  /// - Parameters:
  ///   - path: the file; a symbolic link is followed, also one to a file that does not exist yet.
  ///   - endings: the extensions of this kind of file, such as `.png`.
  ///   - inputs: all files that the command reads, which must not be replaced.
  static func check(_ path: String, endings: [String], keeping inputs: [String]) throws {
    guard !path.isEmpty else { throw Failure("the name of the output is empty") }
    guard endings.contains(where: { path.lowercased().hasSuffix($0) }), !path.utf8.contains(0) else {
      throw Failure("\(path): the name of the output must end in \(endings.joined(separator: " or "))")
    }
    try FileReplacement.checkTarget(path)
    var status = stat()
    if stat(path, &status) == 0 {
      guard status.st_mode & 0o222 != 0, access(path, W_OK) == 0 else {
        throw Failure("\(path): the file exists and is write-protected")
      }
      try checkApart(path, from: inputs)
    }
    let folder: String
    do throws(SystemError) {
      folder = PathName.folder(of: try FileReplacement.resolvingLinks(path))
    } catch {
      throw FileError(path, "cannot be written", system: error.code)
    }
    try checkFolder(folder.isEmpty ? "." : folder, for: path)
  }

  /// Refuses an output that is an input, be it under another name, or a file of an input folder.
  static func checkApart(_ path: String, from inputs: [String]) throws {
    var status = stat()
    guard stat(path, &status) == 0 else { return }
    for input in inputs {
      var other = stat()
      guard stat(input, &other) == 0 else { continue }
      if other.st_dev == status.st_dev, other.st_ino == status.st_ino {
        throw Failure("\(path): is the same file as the input \(input), which would be lost")
      }
      if other.st_mode & S_IFMT == S_IFDIR, let folder = resolved(input), let file = resolved(path),
        file.utf8.starts(with: "\(folder)/".utf8)
      {
        throw Failure("\(path): is a file of the input \(input), which would be lost")
      }
    }
  }

  /// Refuses a file that would take the place of the folder of another output, or of a file in it.
  ///
  /// - Parameter isTaken: whether a name in the folder is one that files there get.
  static func checkApart(_ path: String, fromFolder folder: String, _ isTaken: (String) -> Bool) throws {
    if areSame(path, PathName.trimmed(folder)) {
      throw Failure("\(path): would be a file and the folder of single images; choose another name for one of them")
    }
    guard isTaken(PathName.last(of: path)) else { return }
    let parent = PathName.folder(of: path)
    if let one = resolved(parent.isEmpty ? "." : parent), let other = resolved(folder), one.isExactly(other) {
      throw Failure("\(path): has the name of a single image in \(folder), which it would replace")
    }
  }

  /// Whether two outputs would be one file, be it under different names.
  static func areSame(_ one: String, _ other: String) -> Bool {
    func place(_ path: String) -> [UInt8] {
      let target = (try? FileReplacement.resolvingLinks(path)) ?? path
      let folder = PathName.folder(of: target)
      return Array("\(resolved(folder.isEmpty ? "." : folder) ?? folder)/\(PathName.last(of: target))".utf8)
    }
    return place(one) == place(other)
  }

  /// Whether there is a folder of this name.
  static func isFolder(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  private static func resolved(_ path: String) -> String? {
    guard let real = realpath(path, nil) else { return nil }
    defer { free(real) }
    return String(cString: real)
  }

  /// Creates a folder for several files unless it exists, and refuses one that cannot take files.
  static func makeFolder(_ path: String) throws {
    guard !path.isEmpty, !path.utf8.contains(0) else { throw Failure("the name of the output folder is not usable") }
    if mkdir(path, 0o777) != 0, errno != EEXIST { throw Failure("\(path): cannot be made: \(SystemError())") }
    try checkFolder(path, for: path)
  }

  /// Refuses a folder in which no file can be created.
  private static func checkFolder(_ folder: String, for path: String) throws {
    var status = stat()
    guard stat(folder, &status) == 0 else {
      throw Failure("\(path): cannot be written: the folder \(folder) \(missing(errno))")
    }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      throw Failure("\(path): cannot be written: \(folder) is not a folder")
    }
    do throws(SystemError) {
      try FileReplacement.probe(folder)
    } catch {
      throw FileError(path, "cannot be written", system: error.code)
    }
  }

  private static func missing(_ code: Int32) -> String {
    switch code {
    case ENOENT: "does not exist"
    case ENOTDIR: "lies below something that is not a folder"
    default: "cannot be examined: \(SystemError(code))"
    }
  }
}
