// Whether a PNG file is as it was written, without decoding it: every chunk is there and has its checksum. It says nothing
// about pixels; `PNGReader.swift` decodes them.

import MVARFiles

/// A PNG file as bytes.
package enum PNGFile {
  /// Whether a file begins with the signature of PNG, goes on with chunks whose checksums are right, and ends with the
  /// chunk `IEND`. No for a file that is absent or cannot be read.
  package static func isWhole(_ path: String) -> Bool {
    guard let bytes = try? RegularFile.contentsIfPresent(of: path), bytes.starts(with: PNGCursor.signature) else {
      return false
    }
    var cursor = PNGCursor(bytes: bytes, subject: path)
    var last = ""
    while let chunk = cursor.next() {
      guard (try? cursor.contents(chunk.data)) != nil, (try? cursor.check(chunk)) != nil else { return false }
      last = chunk.name
    }
    return last == "IEND" && cursor.position == bytes.count
  }
}
