// Which names of classes are accepted from a file. A class's name becomes the name of a folder when a data set is cached,
// and comes from an index, from metadata or from a folder: whoever reads one asks here. It knows names only, no paths.

/// The rule for the names of classes.
package enum ClassNameRule {
  /// The most bytes a name may have, as any file system's.
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

  /// A name as a message shows it: control characters escaped, a long one cut.
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

  /// Joiners and other invisible marks of scripts and emoji are part of names; what breaks lines is not.
  private static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .lineSeparator, .paragraphSeparator, .surrogate: true
    default: false
    }
  }
}
