// A file that another process shortens while it is mapped: a sentence and status 1 instead of a signal.

import Foundation
import MVARCheckpoints
import MVARFiles
import MVARTestSupport
import Testing

struct MappedFileFaultTests {
  @Test func theMissingEndOfAMappedFileIsASentence() async throws {
    let result = await #expect(processExitsWith: .exitCode(1), observing: [\.standardErrorContent]) {
      MappedFileFaults.install(program: "mvar")
      let path = "/tmp/mvar-shrinking-\(ProcessInfo.processInfo.processIdentifier)"
      try Data(count: 1 << 20).write(to: URL(filePath: path))
      let other = try MappedFile(path: path)
      let file = try MappedFile(path: path)
      truncate(path, 0)
      unlink(path)
      _ = other.count
      var sum = 0
      for offset in stride(from: 0, to: 1 << 20, by: 4096) { sum += Int(file.byte(at: offset) ?? 0) }
      exit(sum == 0 ? 0 : 2)
    }
    let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
    #expect(text.contains("mvar: /tmp/mvar-shrinking-"))
    #expect(text.contains(": was shortened while it was being read\n"))
  }

  @Test func whatIsReadPastTheMappingThrows() throws {
    try withTemporaryFolder { folder in
      let path = "\(folder)/a"
      try SafetensorsWriter.write(
        [("a", StoredTensor([Float](repeating: 1, count: 1 << 19), shape: [1 << 19]))], to: path)
      let tensor = try #require(try Checkpoint.open(path)["a"])
      var pieces = 0
      let error = #expect(throws: FileError.self) {
        try tensor.forEachPiece { _ in
          pieces += 1
          truncate(path, 1 << 20)
        }
      }
      #expect(pieces == 1 && error?.description == "\(path): was shortened while it was being read")
    }
  }
}
