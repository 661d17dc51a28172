// A short form of `Scripts/kill-test`: every command is killed some times, and disks are full.

#if os(Linux)
  import Foundation
  import MVARTestSupport
  import Testing

  @Suite("Kills", .serialized)
  struct KillTests {
    @Test("kills and full disks cost nothing but the steps since the last save")
    func short() throws {
      try withTemporaryFolder { folder in
        let script = Fixtures.root.deletingLastPathComponent().appending(path: "Scripts/kill-test")
        let result = try Tool.shell(
          "TMPDIR=. exec /bin/bash \"\(script.path(percentEncoded: false))\" 0 17", in: folder)
        #expect(result.code == 0, "\(result.errors)")
        let found = try #require(
          result.output.firstMatch(of: /([0-9]+) kills, ([0-9]+) full disks: nothing was lost\n$/), "\(result.output)")
        #expect(Int(found.1) ?? 0 >= 6 && Int(found.2) ?? 0 >= 4, "\(result.output)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [])
      }
    }
  }
#endif
