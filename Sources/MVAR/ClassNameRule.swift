// Which class names are accepted from a file. A class name becomes a folder name when a data set is cached, and comes
// from an index, from metadata or from a folder: all readers check it here. The rule is about names only, not paths.

/// The rule for class names.
package enum ClassNameRule {
  /// The maximum length of a name in bytes, which every file system supports.
  package static let mostBytes = 255

  /// What is wrong with a name, as a predicate; nil for a name that is one safe component of a path.
  package static func problem(with name: String) -> String? {
    if name.isEmpty { return "is empty" }
    if name == "." || name == ".." { return "stands for a folder" }
    if name.utf8.count > mostBytes { return "is \(name.utf8.count) bytes long, and the limit is \(mostBytes)" }
    if name.utf8.contains(UInt8(ascii: "/")) { return "holds a slash" }
    if name.unicodeScalars.contains(where: isUnsafe) { return "holds a control character" }
    return nil
  }

  /// A name as shown in messages: control characters are escaped, long names are truncated.
  package static func quoted(_ name: String) -> String {
    var text = ""
    for (place, scalar) in name.unicodeScalars.enumerated() {
      if place == 80 { return "\"\(text)…\"" }
      if isUnsafe(scalar) {
        text += "\\u{\(String(scalar.value, radix: 16))}"
      } else {
        text.unicodeScalars.append(scalar)
      }
    }
    return "\"\(text)\""
  }

  /// Joiners and other invisible marks of scripts and emoji may be part of a name; line breaks may not.
  private static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .lineSeparator, .paragraphSeparator, .surrogate: true
    default: false
    }
  }
}
