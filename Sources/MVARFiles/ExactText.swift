// Text that is equal only where its bytes are: Swift takes "é" as one character and "e" with an accent for the same
// text, while names in files, like those of files, are bytes.

/// A name, compared and hashed by its UTF-8 bytes.
package struct ExactText: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// The name.
  package let text: String

  /// A name.
  package init(_ text: String) { self.text = text }

  package var description: String { text }

  package static func == (first: ExactText, second: ExactText) -> Bool {
    first.text.utf8.elementsEqual(second.text.utf8)
  }

  package static func < (first: ExactText, second: ExactText) -> Bool {
    first.text.utf8.lexicographicallyPrecedes(second.text.utf8)
  }

  package func hash(into hasher: inout Hasher) {
    var text = text
    text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
  }
}

extension String {
  /// Whether two texts have the same bytes.
  package func isExactly(_ other: String) -> Bool { ExactText(self) == ExactText(other) }

  /// Whether the text begins with the bytes of another.
  package func startsExactly(with other: String) -> Bool { utf8.starts(with: other.utf8) }

  /// Whether the text ends with the bytes of another.
  package func endsExactly(with other: String) -> Bool { utf8.reversed().starts(with: other.utf8.reversed()) }
}
