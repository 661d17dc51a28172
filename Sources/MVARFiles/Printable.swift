// Makes text from a file or a command line safe to show, so that a hostile name cannot move the cursor, start a line of
// its own or fill the screen. Making printable text printable again does not change it.

/// Text with everything escaped as `\u{…}` that is not plainly visible: control and format characters, line and
/// paragraph separators, surrogates, private-use characters, and code points that are not characters. The joiner
/// inside an emoji stays.
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
    let joinsEmoji = scalar == "\u{200d}" && endsInEmoji(result)
    if (0x20..<0x7f).contains(scalar.value) || joinsEmoji {
      result.unicodeScalars.append(scalar)
      continue
    }
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse,
      .unassigned where scalar.properties.isNoncharacterCodePoint:
      result += "\\u{\(String(scalar.value, radix: 16))}"
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result
}

/// Whether the last visible scalar is an emoji; a variation selector or a skin tone may follow it.
private func endsInEmoji(_ text: String) -> Bool {
  guard let last = text.unicodeScalars.last(where: { $0 != "\u{fe0f}" }) else { return false }
  return last.properties.isEmoji && last.value > 0x7f
}
