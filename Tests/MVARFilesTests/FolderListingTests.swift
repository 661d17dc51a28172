// Names as bytes: what a folder holds, whatever its names are made of, and the parts of paths.

import Foundation
import MVARFiles
import MVARTestSupport
import Testing

@Suite("Names in folders")
struct FolderListingTests {
  /// Creates an empty file whose name is these bytes.
  private func create(_ name: [UInt8], in folder: String) {
    let path = Array(folder.utf8) + [UInt8(ascii: "/")] + name + [0]
    let descriptor = path.withUnsafeBufferPointer { buffer in
      buffer.withMemoryRebound(to: CChar.self) { open($0.baseAddress!, O_WRONLY | O_CREAT | O_EXCL, 0o600) }
    }
    #expect(descriptor >= 0)
    close(descriptor)
  }

  @Test("are sorted by their bytes, and spellings of one letter are two names")
  func sorting() throws {
    try withTemporaryFolder { folder in
      let names = ["z", "\u{e9}", "e\u{301}", "a10", "a2", "B", ".hidden", "\u{301}mark", "...", "x.tmp"]
      for name in names { create(Array(name.utf8), in: folder) }
      let listing = try FolderListing(folder)
      #expect(
        listing.names.map { Array($0.utf8) } == names.map { Array($0.utf8) }.sorted { $0.lexicographicallyPrecedes($1) }
      )
      #expect(listing.otherNames.isEmpty)
    }
  }

  @Test("names that are not UTF-8 are listed apart, each once")
  func otherNames() throws {
    try withTemporaryFolder { folder in
      create([0x61, 0xFF], in: folder)
      create([0x61, 0xFE], in: folder)
      create([0xC3], in: folder)
      create([0x1B, 0x80], in: folder)
      create(Array("good".utf8), in: folder)
      let listing = try FolderListing(folder)
      #expect(listing.names == ["good"])
      #expect(listing.otherNames == ["\\x1b\\x80", "\\xc3", "a\\xfe", "a\\xff"])
    }
  }

  @Test("folders that cannot be listed")
  func refused() throws {
    try withTemporaryFolder { folder in
      create(Array("file".utf8), in: folder)
      for (path, reason) in [("\(folder)/file", "Not a directory"), ("\(folder)/none", "No such file or directory")] {
        let error = #expect(throws: FileError.self) { try FolderListing(path) }
        #expect(error?.description == "\(path): cannot be listed: \(reason)")
      }
      #expect(throws: FileError.self) { try FolderListing("") }
      #expect(throws: FileError.self) { try FolderListing("a\0b") }
    }
  }

  @Test("a mark after a slash belongs to the name after it")
  func marks() {
    #expect(Array(PathName.join("a", "\u{301}b").utf8) == Array("a/\u{301}b".utf8))
    #expect(PathName.join("a/", "b") == "a/b")
    #expect(Array(PathName.last(of: "a/\u{301}b").utf8) == Array("\u{301}b".utf8))
    #expect(!"\u{e9}".isExactly("e\u{301}") && "\u{e9}".isExactly("\u{e9}"))
    // The period and the mark are one character, too.
    #expect(PathName.isHidden(".\u{301}a") && !PathName.isHidden("a."))
    #expect(
      PathName.ending("a/b.PnG") == "png" && PathName.ending("a.b/c").isEmpty && PathName.ending("a/.png").isEmpty)
    #expect(PathName.ending("a.\u{301}").utf8.count == 2)
  }
}
