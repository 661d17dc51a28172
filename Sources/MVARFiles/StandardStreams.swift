// Descriptors 0, 1 and 2 belong to standard input, output and error even when the program was started with one of them
// closed: otherwise the next file that is opened would get its number, and results or messages would be written into it.

import Foundation

/// Standard input, output and error.
package enum StandardStreams {
  /// Occupies those that are closed, so that no other file can. Writing to them fails as before, and reading finds nothing.
  package static func reserve() {
    while true {
      // The system gives the lowest number that is free. Without /dev/null, any folder will do.
      var descriptor = open("/dev/null", O_RDONLY)
      if descriptor < 0 { descriptor = open("/", O_RDONLY) }
      if descriptor > STDERR_FILENO { close(descriptor) }
      guard 0...STDERR_FILENO ~= descriptor else { return }
    }
  }
}

/// The words that the program was started with.
package enum ProgramArguments {
  /// All of them, the program's own name first, unchanged: one that is not UTF-8 would otherwise become another text, and so
  /// the name of another file.
  ///
  /// - Throws: `FileError` that names the first word that is not UTF-8.
  package static func all() throws(FileError) -> [String] {
    var words: [String] = []
    for place in 0..<Int(CommandLine.argc) {
      guard let word = CommandLine.unsafeArgv[place] else { break }
      guard let text = String(validatingCString: word) else {
        let bytes = (0..<strlen(word)).map { UInt8(bitPattern: word[$0]) }
        throw FileError(nil, "argument \(place), \(quoted(bytes)), is not UTF-8: rename the file, or use a link to it")
      }
      words.append(text)
    }
    return words
  }

  /// Bytes in quotation marks, with those that are not ASCII as `\xe9`.
  package static func quoted(_ bytes: [UInt8]) -> String {
    let pieces = bytes.prefix(200).map { byte in
      0x20..<0x7f ~= byte ? String(UnicodeScalar(byte)) : "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }
    return "\"\(pieces.joined())\(bytes.count > 200 ? "…" : "")\""
  }
}
