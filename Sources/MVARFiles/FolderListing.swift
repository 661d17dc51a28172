// The names in a folder and what they lead to. Names are bytes: they are compared and sorted as bytes, since Swift's own
// comparison takes two spellings of "é" for the same; and a name that is no text is never changed into another one, as
// Foundation does, but listed apart. Nothing is opened here.

import Foundation

/// The names in a folder.
package struct FolderListing: Sendable {
  /// The names, without "." and "..", sorted by their bytes.
  package private(set) var names: [String] = []
  /// Names that are not UTF-8, as shown in messages: `a\xff.png`.
  package private(set) var otherNames: [String] = []

  /// Lists a folder.
  ///
  /// - Throws: `FileError` when it cannot be listed.
  package init(_ folder: String) throws(FileError) {
    try RegularFile.checkName(folder)
    guard let stream = opendir(folder) else { throw FileError(folder, "cannot be listed: \(SystemError())") }
    defer { closedir(stream) }
    while true {
      errno = 0
      guard let entry = readdir(stream) else {
        if errno != 0 { throw FileError(folder, "cannot be listed: \(SystemError())") }
        break
      }
      let bytes = withUnsafeBytes(of: &entry.pointee.d_name) { [UInt8]($0.prefix { $0 != 0 }) }
      if bytes == [0x2E] || bytes == [0x2E, 0x2E] { continue }
      if let name = String(validating: bytes, as: UTF8.self) {
        names.append(name)
      } else {
        otherNames.append(FolderListing.shown(bytes))
      }
    }
    names.sort { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    otherNames.sort { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// Bytes as text: those of ASCII that can be printed as they are, others as `\xff`.
  private static func shown(_ bytes: [UInt8]) -> String {
    bytes.map { byte in
      if (0x20..<0x7F).contains(byte) { return String(UnicodeScalar(byte)) }
      let digits = String(byte, radix: 16)
      return "\\x" + (digits.count == 1 ? "0" : "") + digits
    }.joined()
  }
}
