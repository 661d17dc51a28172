// Text as a JSON string, for the headers and logs that are written by hand so that their exact bytes are known. Only
// what the format requires is escaped; everything else stays as it is, in UTF-8.

/// JSON strings.
package enum JSONString {
  /// The text in quotation marks, with quotation marks, backslashes and control characters escaped.
  package static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\t": result += "\\t"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
