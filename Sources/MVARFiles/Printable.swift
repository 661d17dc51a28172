// Makes text from a file or a command line safe to show, so that a hostile name cannot move the cursor, start a line of
// its own or fill the screen. Making printable text printable again does not change it.

/// Text with everything escaped as `\u{…}` that is not plainly visible: control and format characters, line and
/// paragraph separators, surrogates and private-use characters.
///
/// - Parameters:
///   - text: any text.
///   - limit: the number of Unicode scalars after which the rest becomes an ellipsis; nil for no limit.
package func printable(_ text: String, limit: Int? = nil) -> String {
  var result = ""
  var count = 0
  for scalar in text.unicodeScalars {
    if let limit, count >= limit { return result + "…" }
    count += 1
    if (0x20..<0x7f).contains(scalar.value) {
      result.unicodeScalars.append(scalar)
      continue
    }
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse:
      result += "\\u{\(String(scalar.value, radix: 16))}"
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result
}
