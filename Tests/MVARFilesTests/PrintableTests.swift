// Text made printable: which Unicode characters are escaped, and where long text is cut; and the sentence of an error
// made from it.

import Foundation
import MVARFiles
import Testing

@Suite("Printable text and errors")
struct PrintableTests {
  typealias Category = Unicode.GeneralCategory

  /// The categories that a terminal may act on or that are invisible.
  private static let escaped: Set<Category> = [
    .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse,
  ]

  /// A scalar of every category except surrogates, which no text contains.
  static let samples: [(scalar: Unicode.Scalar, category: Category)] = [
    ("A", .uppercaseLetter), ("é", .lowercaseLetter), ("ǅ", .titlecaseLetter), ("ʰ", .modifierLetter),
    ("漢", .otherLetter), ("\u{301}", .nonspacingMark), ("\u{903}", .spacingMark), ("\u{20dd}", .enclosingMark),
    ("7", .decimalNumber), ("Ⅷ", .letterNumber), ("½", .otherNumber), ("_", .connectorPunctuation),
    ("-", .dashPunctuation), ("(", .openPunctuation), (")", .closePunctuation), ("«", .initialPunctuation),
    ("»", .finalPunctuation), ("…", .otherPunctuation), ("×", .mathSymbol), ("€", .currencySymbol),
    ("^", .modifierSymbol), ("©", .otherSymbol), (" ", .spaceSeparator), ("\u{2028}", .lineSeparator),
    ("\u{2029}", .paragraphSeparator), ("\u{1b}", .control), ("\u{202e}", .format), ("\u{e000}", .privateUse),
    ("\u{378}", .unassigned),
  ]

  @Test("a scalar of every general category", arguments: samples)
  func category(_ sample: (scalar: Unicode.Scalar, category: Category)) {
    #expect(sample.scalar.properties.generalCategory == sample.category)
    let text = String(sample.scalar)
    let code = String(sample.scalar.value, radix: 16)
    #expect(printable(text) == (Self.escaped.contains(sample.category) ? "\\u{\(code)}" : text))
  }

  @Test("every scalar there is, by its category")
  func everyScalar() {
    #expect(Set(Self.samples.map(\.category)).count == 29)
    var wrong: [UInt32] = []
    var categories: Set<Category> = []
    for value in UInt32(0)...0x10_ffff {
      guard let scalar = Unicode.Scalar(value) else { continue }
      let category = scalar.properties.generalCategory
      categories.insert(category)
      let isKept = printable(String(scalar)).unicodeScalars.elementsEqual([scalar])
      let isEscaped = Self.escaped.contains(category) || scalar.properties.isNoncharacterCodePoint
      if isKept == isEscaped { wrong.append(value) }
    }
    #expect(wrong.isEmpty, "\(wrong.prefix(5))")
    #expect(categories == Set(Self.samples.map(\.category)))
  }

  @Test("escapes one by one, and once")
  func escapes() {
    #expect(printable("a\nb\r\n\tc\u{7f}\u{85}\u{200b}") == "a\\u{a}b\\u{d}\\u{a}\\u{9}c\\u{7f}\\u{85}\\u{200b}")
    #expect(printable(printable("a\u{1b}[2K")) == "a\\u{1b}[2K")
    #expect(printable("") == "")
    #expect(printable("👩🏽‍🔬 🏳️‍🌈") == "👩🏽‍🔬 🏳️‍🌈")
    #expect(printable("a\u{200d}b 1\u{200d} \u{200d}") == "a\\u{200d}b 1\\u{200d} \\u{200d}")
  }

  @Test("the limit counts scalars of the text, and only what is longer is cut")
  func limit() {
    #expect(printable("abc", limit: 3) == "abc")
    #expect(printable("abcd", limit: 3) == "abc…")
    #expect(printable("\n\n\n", limit: 2) == "\\u{a}\\u{a}…")
    #expect(printable("a", limit: 0) == "…")
    #expect(printable("", limit: 0) == "")
    #expect(printable(String(repeating: "x", count: 100_000)).count == 100_000)
  }

  @Test("an error is one sentence in one line")
  func errors() {
    #expect(FileError("a.png", "is empty").description == "a.png: is empty")
    #expect(FileError("", "is empty").description == "(no file name): is empty")
    #expect(FileError(nil, "is empty").description == "is empty")
    #expect(FileError("a\nb", "holds \"\u{1b}\"").description == "a\\u{a}b: holds \"\\u{1b}\"")
    #expect(FileError("a\nb", "is empty").path == "a\nb")
    let long = FileError(String(repeating: "x", count: 5000), "is empty").description
    #expect(long == String(repeating: "x", count: 1024) + "…: is empty")
    #expect(
      FileError("a", "cannot be read", system: EACCES).localizedDescription == "a: cannot be read: Permission denied")
  }
}
