// Text that is valid in XML, on one line.
//
// XML forbids most control characters even when they are escaped, and bidirectional control characters can reverse a
// label. Both are shown as `\u{1b}`; everything else stays as it is.

/// Makes text safe for an XML document.
package enum XMLText {
  /// The text with everything that is invisible or breaks the line shown as its code.
  package static func printable(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      if isShown(scalar) {
        result.unicodeScalars.append(scalar)
      } else {
        result += "\\u{\(String(scalar.value, radix: 16))}"
      }
    }
    return result
  }

  /// Printable text with markup characters replaced, for contents and for attributes in double quotes.
  static func escaped(_ text: String) -> String {
    var result = ""
    for character in printable(text).unicodeScalars {
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      default: result.unicodeScalars.append(character)
      }
    }
    return result
  }

  private static func isShown(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .lineSeparator, .paragraphSeparator: false
    default: !scalar.properties.isNoncharacterCodePoint && !scalar.properties.isBidiControl
    }
  }
}
