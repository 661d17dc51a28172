// Reads a NumPy archive: a zip archive whose entries are arrays.
//
// Of a member, opening the file reads only the header. The elements are read whenever they are wanted, inflated if need be
// (`numpy.savez_compressed`), and compared with the checksum, as NumPy does. Members that are not arrays are an error.

import MVARFiles

enum NPZReader {
  static func matches(_ archive: ZipArchive) -> Bool {
    archive.entries.allSatisfy { $0.name.endsExactly(with: ".npy") }
  }

  /// The arrays in file order, named without `.npy`.
  ///
  /// - Throws: `FileError`.
  static func read(_ archive: ZipArchive) throws -> [(String, StoredTensor)] {
    try archive.checkExpansion()
    guard archive.entries.count <= FileLimits.tensors else {
      throw FileError("holds \(archive.entries.count) arrays; at most \(FileLimits.tensors) are read")
    }
    return try archive.entries.map { entry in
      let contents = try archive.contents(entry, checked: true)
      do {
        return (String(entry.name.dropLast(".npy".count)), try NPYReader.read(contents))
      } catch let error as FileError where error.path == nil {
        throw FileError("array \"\(excerpt(entry.name))\": \(error.reason)")
      }
    }
  }
}
