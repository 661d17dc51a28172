// Compiled kernels on disk: found again, not found when anything that they depend on differs, and never damaged.

import Foundation
import MVARCUDA
import MVARTestSupport
import Testing

@Suite struct DriverKernelCacheTests {
  private let image = (0..<5000).map { UInt8(truncatingIfNeeded: $0 * 7) }

  @Test func kept() throws {
    try withTemporaryFolder { folder in
      let cache = KernelCache(folder: "\(folder)/a/b")
      #expect(cache.read("k") == nil)
      cache.write(image, "k")
      #expect(cache.read("k") == image && cache.read("l") == nil)
      let mode = try FileManager.default.attributesOfItem(atPath: "\(folder)/a/b")[.posixPermissions] as? Int
      #expect(mode == 0o700)
    }
  }

  @Test func keysTellTextsApart() {
    let keys = [["a", "b"], ["ab"], ["a", "b", ""], ["", "a", "b"], ["b", "a"], ["a", "c"], []].map(KernelCache.key)
    #expect(Set(keys).count == keys.count)
    #expect(KernelCache.key(["a", "b"]) == keys[0] && keys.allSatisfy { $0.count == 32 })
  }

  @Test func hashIsFNV1a() {
    // The hash of the empty text and of "foobar" are published test vectors; a key hashes "6:foobar".
    #expect(KernelCache.key([]) == "6c62272e07bb014262b821756295c58d")
  }

  @Test func damagedEntriesAreNone() throws {
    try withTemporaryFolder { folder in
      let cache = KernelCache(folder: folder)
      let path = try #require(cache.path("k"))
      cache.write(image, "k")
      let good = try Data(contentsOf: URL(filePath: path))
      var damaged = [good.prefix(0), good.prefix(10), good.prefix(24), good.dropLast(), good + [0]]
      for position in [0, 9, 24, good.count - 1] {
        var copy = good
        copy[position] ^= 1
        damaged.append(copy)
      }
      for contents in damaged {
        try contents.write(to: URL(filePath: path))
        #expect(cache.read("k") == nil)
      }
      cache.write(image, "k")
      #expect(cache.read("k") == image)
    }
  }

  @Test func writersAtTheSameTime() async throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "mvar-cache-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    let cache = KernelCache(folder: folder.path(percentEncoded: false))
    // Each writes different contents, so that a mixture would be noticed; a reader sees none or one of them, whole.
    let images = (0..<8).map { writer in [UInt8](repeating: UInt8(writer), count: 200_000 + writer) }
    let seen = await withTaskGroup(of: [UInt8]?.self) { group in
      for image in images {
        group.addTask {
          var last: [UInt8]?
          for _ in 0..<10 {
            cache.write(image, "k")
            last = cache.read("k")
          }
          return last
        }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
    #expect(seen.allSatisfy { $0.map(images.contains) ?? false })
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path(percentEncoded: false)) == ["k.kernels"])
  }

  @Test func oldEntriesAreRemoved() throws {
    try withTemporaryFolder { folder in
      let cache = KernelCache(folder: folder)
      try plant(["note.txt"], in: folder)
      for number in 0..<70 {
        cache.write([1, 2, 3], "\(number)")
        // Files written at the same moment have no order.
        let time = [FileAttributeKey.modificationDate: Date(timeIntervalSince1970: Double(number))]
        try FileManager.default.setAttributes(time, ofItemAtPath: try #require(cache.path("\(number)")))
      }
      cache.write([4], "last")
      let kept = try FileManager.default.contentsOfDirectory(atPath: folder)
      #expect(Set(kept) == Set((7..<70).map { "\($0).kernels" } + ["last.kernels", "note.txt"]))
    }
  }

  @Test func folderThatCannotBeWrittenIsNoError() {
    let cache = KernelCache(folder: "/dev/null/cache")
    cache.write(image, "k")
    #expect(cache.read("k") == nil)
    KernelCache(folder: nil).write(image, "k")
    #expect(KernelCache(folder: nil).read("k") == nil)
  }

  @Test func folderOfTheUser() {
    func folder(_ environment: [String: String]) -> String? { KernelCache(environment: environment, home: "/h").folder }
    #expect(folder([:]) == "/h/.cache/mvar/kernels")
    #expect(folder(["XDG_CACHE_HOME": "/x"]) == "/x/mvar/kernels")
    #expect(folder(["XDG_CACHE_HOME": "relative"]) == "/h/.cache/mvar/kernels")
    #expect(folder(["MVAR_CUDA_CACHE": "/c", "XDG_CACHE_HOME": "/x"]) == "/c")
    #expect(folder(["MVAR_CUDA_CACHE": ""]) == nil)
  }
}
