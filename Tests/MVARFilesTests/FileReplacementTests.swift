// Files that are written as a whole: nothing of them is seen before, nothing is left after a failure, links are followed, and
// only what is abandoned is removed.

import Foundation
import MVARFiles
import MVARTestSupport
import Testing

@Suite("Replaced files")
struct FileReplacementTests {
  private func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }
  private func names(_ folder: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
  }

  @Test("new and existing files, their permissions, and failures")
  func replaced() throws {
    struct Broken: Error {}
    try withTemporaryFolder { folder in
      let path = "\(folder)/a"
      try FileReplacement.write(Array("one".utf8), to: path)
      #expect(chmod(path, 0o640) == 0)
      try FileReplacement.write(to: path) { descriptor in
        try Descriptor.writeAll(Array("two".utf8), to: descriptor)
        // Until it is complete, it has no name of its own here, or one that is told from others.
        #expect(try names(folder).filter { $0 != "a" && !$0.hasPrefix(".mvar-writing-") } == [])
        #expect(try text(path) == "one")
      }
      #expect(try text(path) == "two" && names(folder) == ["a"])
      let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
      #expect(mode == 0o640)
      for target in [path, "\(folder)/new"] {
        #expect(throws: Broken.self) {
          try FileReplacement.write(to: target) { descriptor in
            try Descriptor.writeAll([1], to: descriptor)
            throw Broken()
          }
        }
      }
      #expect(try text(path) == "two" && names(folder) == ["a"])
      let long = #expect(throws: FileError.self) {
        try FileReplacement.write([1], to: "\(folder)/\(String(repeating: "n", count: 300))")
      }
      #expect(long?.reason == "cannot be written: File name too long")
    }
  }

  @Test("a link is followed, also to a file that does not exist yet")
  func links() throws {
    try withTemporaryFolder { folder in
      try FileManager.default.createDirectory(atPath: "\(folder)/b", withIntermediateDirectories: true)
      for (link, target) in [
        ("one", "b/two"), ("b/two", "\(folder)/b/three"), ("b/three", "../b/four"), ("loop", "loop"), ("lost", "no/x"),
      ] {
        try FileManager.default.createSymbolicLink(atPath: "\(folder)/\(link)", withDestinationPath: target)
      }
      try FileReplacement.write([65], to: "\(folder)/one")
      #expect(try text("\(folder)/b/four") == "A" && text("\(folder)/one") == "A")
      try FileReplacement.write([66], to: "\(folder)/one")
      #expect(try text("\(folder)/b/four") == "B" && names("\(folder)/b") == ["four", "three", "two"])
      let loop = #expect(throws: FileError.self) { try FileReplacement.write([1], to: "\(folder)/loop") }
      #expect(loop?.reason == "cannot be written: Too many levels of symbolic links")
      let lost = #expect(throws: FileError.self) { try FileReplacement.write([1], to: "\(folder)/lost") }
      #expect(lost?.reason == "cannot be written: No such file or directory")
    }
  }

  @Test("with a name from the beginning, as where files need one", arguments: [true, false])
  func temporaryFiles(_ isNamed: Bool) throws {
    try withTemporaryFolder { folder in
      for target in ["new", "new"] {
        var file = try TemporaryFile(in: "\(folder)/", named: isNamed)
        try Descriptor.writeAll([65], to: file.descriptor)
        // Whoever looks for abandoned files meanwhile leaves this one alone.
        FileReplacement.removeAbandoned(in: folder)
        try file.move(to: "\(folder)/\(target)")
        #expect(try names(folder) == ["new"] && text("\(folder)/new") == "A")
      }
      do { _ = try TemporaryFile(in: "\(folder)/", named: isNamed) }
      #expect(try names(folder) == ["new"])
      do {
        var file = try TemporaryFile(in: "\(folder)/", named: isNamed)
        var problem: SystemError?
        do throws(SystemError) { try file.move(to: "\(folder)/none/x") } catch { problem = error }
        #expect(problem?.code == ENOENT)
      }
      #expect(try names(folder) == ["new"])
    }
  }

  @Test("parts of paths are found byte by byte")
  func paths() {
    let cases: [(path: String, prefix: String, last: String, folder: String)] = [
      ("a", "", "a", ""), ("a/b", "a/", "b", "a"), ("/a", "/", "a", "/"), ("a/b/", "a/b/", "", "a"), ("/", "/", "", ""),
      ("a/\u{301}b", "a/", "\u{301}b", "a"), ("//a//b", "//a//", "b", "//a"), ("", "", "", ""),
    ]
    for item in cases {
      #expect(PathName.prefix(of: item.path) == item.prefix, "\(item.path)")
      #expect(PathName.last(of: item.path) == item.last, "\(item.path)")
      if item.path != "/" { #expect(PathName.folder(of: item.path) == item.folder, "\(item.path)") }
    }
    for (name, rest) in [("a.png", "a"), ("a.b.png", "a.b"), (".png", ".png"), ("a", "a"), ("a.\u{301}", "a")] {
      #expect(PathName.withoutEnding(name) == rest)
    }
    #expect(PathName.endsWithSlash("a/") && !PathName.endsWithSlash("a") && !PathName.endsWithSlash(""))
    #expect(PathName.trimmed("a//") == "a" && PathName.trimmed("//") == "/" && PathName.trimmed("") == "")
  }

  @Test("bytes that are no text are shown as what they are")
  func quoted() {
    #expect(ProgramArguments.quoted([0x61, 0xe9, 0x1b, 0x62]) == #""a\xe9\x1bb""#)
    #expect(ProgramArguments.quoted([UInt8](repeating: 0x61, count: 300)).count == 203)
  }
}

@Suite("SHA-256")
struct SHA256Tests {
  @Test("the examples of FIPS 180 and of NIST's vectors")
  func vectors() {
    let long = [UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000)
    for (message, digest) in [
      ([], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
      (Array("abc".utf8), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
      (
        Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8),
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
      ),
      (long, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
    ] { #expect(SHA256.hexDigest(message) == digest) }
  }

  @Test("in pieces of any length, the same digest")
  func pieces() {
    let message = (0..<300).map { UInt8(truncatingIfNeeded: $0 * 7) }
    for length in [1, 3, 55, 56, 63, 64, 65, 119, 128, 200] {
      var hash = SHA256()
      for start in stride(from: 0, to: message.count, by: length) {
        hash.add(Array(message[start..<min(start + length, message.count)]))
      }
      #expect(hash.digest == SHA256.digest(message) && hash.digest == SHA256.digest(message))
    }
  }
}
