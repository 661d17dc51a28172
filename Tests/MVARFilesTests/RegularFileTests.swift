// Opening regular and other files, for every purpose: it never blocks, and always explains.

import Foundation
import MVARFiles
import MVARTestSupport
import Testing

@Suite("Regular files")
struct RegularFileTests {
  /// The reason why a file cannot be opened.
  private func reason(_ path: String, _ purpose: RegularFile.Purpose) -> String {
    do {
      let file = try RegularFile.open(path, for: purpose)
      return "opened with \(file.size) bytes"
    } catch {
      #expect(error.path == path)
      return error.reason
    }
  }

  private static let purposes: [RegularFile.Purpose] = [.reading, .appending, .appendingToNew, .locking]

  @Test("folders, pipes, sockets, devices and impossible names", .timeLimit(.minutes(1)), arguments: purposes)
  func refusals(_ purpose: RegularFile.Purpose) throws {
    try withTemporaryFolder { folder in
      #expect(mkfifo("\(folder)/pipe", 0o600) == 0)
      try makeSocket("\(folder)/socket")
      // A path that must not exist yet is refused if it exists, whatever it is; the message names the kind there too.
      #expect(reason(folder, purpose) == "is a folder, not a file")
      #expect(reason("\(folder)/pipe", purpose) == "is a pipe, not a regular file")
      #expect(reason("\(folder)/socket", purpose) == "is a socket, not a regular file")
      #expect(reason("/dev/null", purpose) == "is a device, not a regular file")
      #expect(reason("", purpose) == "an empty file name cannot be used")
      #expect(reason("\(folder)/a\0b", purpose) == "contains a zero byte, which no path can")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["pipe", "socket"])
    }
  }

  @Test("a pipe that somebody reads is refused for writing too")
  func readPipe() throws {
    try withTemporaryFolder { folder in
      #expect(mkfifo("\(folder)/pipe", 0o600) == 0)
      let reader = open("\(folder)/pipe", O_RDONLY | O_NONBLOCK)
      defer { close(reader) }
      #expect(reason("\(folder)/pipe", .appending) == "is a pipe, not a regular file")
    }
  }

  @Test("missing files are made where something will be written")
  func missing() throws {
    try withTemporaryFolder { folder in
      #expect(reason("\(folder)/a", .reading) == "the file does not exist")
      let absent = try RegularFile.contentsIfPresent(of: "\(folder)/a")
      #expect(absent == nil)
      #expect(reason("\(folder)/a", .appendingToNew) == "opened with 0 bytes")
      #expect(reason("\(folder)/a", .appendingToNew) == "cannot be opened for writing: File exists")
      #expect(reason("\(folder)/b", .appending) == "opened with 0 bytes")
      #expect(reason("\(folder)/c", .locking) == "opened with 0 bytes")
      #expect(reason("\(folder)/none/a", .appending) == "cannot be opened for writing: No such file or directory")
      #expect(reason("\(folder)/a/b", .reading) == "cannot be opened: Not a directory")
      #expect(symlink("loop", "\(folder)/loop") == 0)
      #expect(reason("\(folder)/loop", .reading) == "cannot be opened: Too many levels of symbolic links")
    }
  }

  @Test("files without permission", .enabled(if: geteuid() != 0, "the superuser may open everything"))
  func permission() throws {
    try withTemporaryFolder { folder in
      try Data([1]).write(to: URL(filePath: "\(folder)/a"))
      #expect(chmod("\(folder)/a", 0) == 0)
      #expect(reason("\(folder)/a", .reading) == "cannot be opened: Permission denied")
      #expect(reason("\(folder)/a", .appending) == "cannot be opened for writing: Permission denied")
    }
  }

  @Test("contents, up to a limit")
  func contents() throws {
    try withTemporaryFolder { folder in
      let path = "\(folder)/a"
      let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
      try Data(bytes).write(to: URL(filePath: path))
      #expect(try RegularFile.contents(of: path) == bytes)
      #expect(try RegularFile.contents(of: path, limit: 100_000) == bytes)
      #expect(try RegularFile.contentsIfPresent(of: path) == bytes)
      let error = #expect(throws: FileError.self) {
        try RegularFile.contents(of: path, limit: 99_999, for: "an image")
      }
      #expect(error?.reason == "has 100000 bytes, and the limit for an image is 99999")
      try Data().write(to: URL(filePath: path))
      #expect(try RegularFile.contents(of: path).isEmpty)
    }
  }

  @Test("what is appended follows what is there")
  func appending() throws {
    try withTemporaryFolder { folder in
      let path = "\(folder)/a"
      for byte in [UInt8(1), 2, 3] {
        let file = try RegularFile.open(path, for: .appending)
        #expect(file.size == Int(byte) - 1)
        try Descriptor.writeAll([byte], to: file.descriptor)
      }
      #expect(try RegularFile.contents(of: path) == [1, 2, 3])
    }
  }

  @Test("a closed file gives its descriptor back")
  func closing() throws {
    try withTemporaryFolder { folder in
      for _ in 0..<5000 { #expect(reason(folder, .reading) == "is a folder, not a file") }
      try Data([1]).write(to: URL(filePath: "\(folder)/a"))
      for _ in 0..<5000 { #expect(reason("\(folder)/a", .reading) == "opened with 1 bytes") }
    }
  }

  /// Leaves a socket at a path.
  private func makeSocket(_ path: String) throws {
    #if os(Linux)
      let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    #else
      let descriptor = socket(AF_UNIX, SOCK_STREAM, 0)
    #endif
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    try #require(bytes.count < MemoryLayout.size(ofValue: address.sun_path))
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    try #require(bound == 0)
  }
}
