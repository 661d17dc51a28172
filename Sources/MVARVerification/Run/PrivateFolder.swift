// A folder that nobody else can read, and that is gone when the work is done.

import Foundation
import MVARFiles

/// A new, empty folder for temporary files, removed with its contents when this value is.
final class PrivateFolder {
  let path: String
  private var count = 0

  /// Makes the folder.
  ///
  /// - Throws: `FileError` when the system refuses it.
  init() throws {
    let folder = FileManager.default.temporaryDirectory.path(percentEncoded: false)
    // A request line names files, separated by a tab.
    guard !folder.contains(where: { $0 == "\t" || $0.isNewline }) else {
      throw FileError(folder, "no temporary folder can be made where a name has a tab or a line break")
    }
    // `mkdtemp` replaces six letters X at the end.
    let place =
      "\(PathName.endsWithSlash(folder) ? folder : folder + "/")mvar-kernel-" + String(repeating: "X", count: 6)
    var template = Array(place.utf8CString)
    guard mkdtemp(&template) != nil else {
      throw FileError(folder, "no temporary folder can be made", system: errno)
    }
    path = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
  }

  /// Whether it is still there.
  var exists: Bool { FileManager.default.isWritableFile(atPath: path) }

  /// A path in the folder that was never used before.
  func newName(_ ending: String) -> String {
    count += 1
    return "\(path)/\(count).\(ending)"
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}
