// Decodes the JSON of golden files after the strict parser has read it: a key that occurs twice, on which decoders
// disagree, is an error that names it, and so is everything that RFC 8259 refuses.

import Foundation
import MVARCheckpoints
import MVARFiles

extension Decodable {
  /// The value of a document in UTF-8.
  ///
  /// - Parameters:
  ///   - document: the document.
  ///   - subject: what it is, for errors.
  /// - Throws: `FileError` where it is no JSON, or holds a key twice; `DecodingError` where it is another value.
  init(strictly document: [UInt8], subject: String) throws {
    _ = try StrictJSON(parsing: ByteRegion(document), subject: subject, fractions: true)
    self = try JSONDecoder().decode(Self.self, from: Data(document))
  }
}
