// Text that is valid in XML, on one line: printable text, since XML forbids most control characters even when they are
// escaped and bidirectional ones can reverse a label, with the characters of markup replaced.

import MVARFiles

/// Makes text safe for an XML document.
enum XMLText {
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
}
