// The parts of a path, found byte by byte. In a String, a slash and a combining mark after it are one Character, which is not
// a slash; for the system they are the end of a folder's name and the beginning of another.

/// Paths in parts.
package enum PathName {
  private static let slash = UInt8(ascii: "/")

  /// The folder as the path names it, with its slash; empty if there is no slash.
  package static func prefix(of path: String) -> String {
    let bytes = path.utf8
    return bytes.lastIndex(of: slash).map { text(bytes[...$0]) } ?? ""
  }

  /// What follows the last slash: everything if there is none, nothing if the path ends with it.
  package static func last(of path: String) -> String {
    let bytes = path.utf8
    return bytes.lastIndex(of: slash).map { text(bytes[bytes.index(after: $0)...]) } ?? path
  }

  /// The path without slashes at its end, except one that is all of it.
  package static func trimmed(_ path: String) -> String {
    var bytes = path.utf8[...]
    while bytes.count > 1, bytes.last == slash { bytes.removeLast() }
    return text(bytes)
  }

  /// The folder that a file or folder lies in; empty for the working folder.
  package static func folder(of path: String) -> String { trimmed(prefix(of: trimmed(path))) }

  /// A name without its ending, the last period and what follows; a name that begins with its only period stays.
  package static func withoutEnding(_ name: String) -> String {
    let bytes = name.utf8
    guard let period = bytes.lastIndex(of: UInt8(ascii: ".")), period != bytes.startIndex else { return name }
    return text(bytes[..<period])
  }

  /// Whether a path ends with a slash, and so can only be a folder's.
  package static func endsWithSlash(_ path: String) -> Bool { path.utf8.last == slash }

  /// A path inside a folder.
  package static func join(_ folder: String, _ name: String) -> String {
    endsWithSlash(folder) ? folder + name : "\(folder)/\(name)"
  }

  /// The ending of a path's last name after its last period, in lower case; empty where ``withoutEnding(_:)`` changes
  /// nothing.
  package static func ending(_ path: String) -> String {
    let name = last(of: path)
    return String(decoding: name.utf8.dropFirst(withoutEnding(name).utf8.count).dropFirst(), as: UTF8.self).lowercased()
  }

  /// Whether a name begins with a period.
  package static func isHidden(_ name: String) -> Bool { name.utf8.first == UInt8(ascii: ".") }

  private static func text(_ bytes: Substring.UTF8View) -> String { String(decoding: bytes, as: UTF8.self) }
}
