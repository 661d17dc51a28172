// JSON whose objects have every key once. Decoders disagree on which of two members with the same key counts, so two
// programs would read two documents; Foundation's decoder takes the first without a word.

import Foundation

/// Why a document with a repeated key is not read.
package struct RepeatedKeyError: Error, CustomStringConvertible {
  /// The key.
  package let key: String
  /// One sentence without a full stop and without the file.
  package var description: String { "holds the key \"\(printable(key, limit: 80))\" twice" }
}

extension JSONDecoder {
  /// Decodes a document in UTF-8 in whose objects every key occurs once.
  ///
  /// - Throws: `RepeatedKeyError`, or what `decode` throws.
  package static func decodeDistinct<Value: Decodable>(_ type: Value.Type, from data: Data) throws -> Value {
    let value = try JSONDecoder().decode(type, from: data)
    if let key = repeatedKey(in: [UInt8](data)) { throw RepeatedKeyError(key: key) }
    return value
  }

  /// The first key that an object of a valid document has twice, escapes resolved.
  private static func repeatedKey(in text: [UInt8]) -> String? {
    // The keys of every object that is open; nil for an array.
    var open: [Set<[UInt8]>?] = []
    var (position, expectsKey) = (0, false)
    while position < text.count {
      switch text[position] {
      case UInt8(ascii: "{"):
        open.append([])
        expectsKey = true
      case UInt8(ascii: "["):
        open.append(nil)
        expectsKey = false
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        if !open.isEmpty { open.removeLast() }
      case UInt8(ascii: ","):
        if case .some(.some) = open.last { expectsKey = true }
      case UInt8(ascii: "\""):
        let start = position
        position = endOfString(in: text, after: position)
        guard expectsKey, !open.isEmpty else { break }
        expectsKey = false
        let key = unescaped(text[start..<min(position + 1, text.count)])
        if open[open.count - 1]?.insert(key).inserted == false { return String(decoding: key, as: UTF8.self) }
      default: break
      }
      position += 1
    }
    return nil
  }

  /// The position of the quotation mark that ends the string which another one begins.
  private static func endOfString(in text: [UInt8], after start: Int) -> Int {
    var position = start + 1
    while position < text.count, text[position] != UInt8(ascii: "\"") {
      position += text[position] == UInt8(ascii: "\\") ? 2 : 1
    }
    return position
  }

  /// The bytes of a string in quotation marks.
  private static func unescaped(_ quoted: ArraySlice<UInt8>) -> [UInt8] {
    if quoted.contains(UInt8(ascii: "\\")), let text = try? JSONDecoder().decode(String.self, from: Data(quoted)) {
      return [UInt8](text.utf8)
    }
    return Array(quoted.dropFirst().dropLast())
  }
}
