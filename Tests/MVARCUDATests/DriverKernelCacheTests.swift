// Compiled kernels on disk: found again, not found when anything that they depend on differs, and never damaged.

import Foundation
import MVARCUDA
import MVARFiles
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
    #expect(KernelCache.key(["a", "b"]) == keys[0] && keys.allSatisfy { $0.count == 64 })
  }

  @Test func keyIsSHA256() {
    // The digests of no bytes and of "3:abc".
    #expect(KernelCache.key([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    #expect(KernelCache.key(["abc"]) == SHA256.hexDigest(Array("3:abc".utf8)))
  }

  @Test func entriesThatChangedPlacesAreNone() throws {
    try withTemporaryFolder { folder in
      let cache = KernelCache(folder: folder)
      let keys = ["a", "b", "c"].map { KernelCache.key([$0]) }
      for (place, key) in keys.enumerated() { cache.write([UInt8](repeating: UInt8(place), count: 99), key) }
      let files = try keys.map { try #require(cache.path($0)) }
      let contents = try files.map { try Data(contentsOf: URL(filePath: $0)) }
      for (place, file) in files.enumerated() { try contents[(place + 1) % 3].write(to: URL(filePath: file)) }
      for key in keys { #expect(cache.read(key) == nil) }
      for (place, file) in files.enumerated() { try contents[place].write(to: URL(filePath: file)) }
      for (place, key) in keys.enumerated() { #expect(cache.read(key)?.first == UInt8(place)) }
    }
  }

  @Test func whatOthersMayWriteIsNotUsed() throws {
    try withTemporaryFolder { folder in
      let cache = KernelCache(folder: "\(folder)/c")
      #expect(cache.problem == nil)
      cache.write(image, "k")
      let path = try #require(cache.path("k"))
      let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
      #expect(mode == 0o600)
      for mode: mode_t in [0o720, 0o702, 0o777] {
        #expect(chmod("\(folder)/c", mode) == 0)
        #expect(cache.read("k") == nil && cache.problem == "may be written by others")
        cache.write([1], "l")
        #expect(access(try #require(cache.path("l")), F_OK) != 0)
      }
      #expect(chmod("\(folder)/c", 0o755) == 0)
      #expect(cache.read("k") == image && cache.problem == nil)
      for mode: mode_t in [0o620, 0o602, 0o666] {
        #expect(chmod(path, mode) == 0)
        #expect(cache.read("k") == nil)
      }
      // It is written anew, as the user's own.
      cache.write(image, "k")
      #expect(cache.read("k") == image)
      // A link, wherever it leads, a pipe and a folder are no entries.
      for make in [
        { (path: String) in symlink("\(folder)/good", path) }, { mkfifo($0, 0o600) }, { mkdir($0, 0o700) },
      ] {
        #expect(rename(path, "\(folder)/good") == 0)
        #expect(make(path) == 0)
        #expect(cache.read("k") == nil)
        #expect(unlink(path) == 0 || rmdir(path) == 0)
        #expect(rename("\(folder)/good", path) == 0)
      }
      #expect(cache.read("k") == image)
    }
  }

  @Test(.enabled(if: geteuid() == 0, "only the system's administrator can give files away"))
  func whatBelongsToOthersIsNotUsed() throws {
    try withTemporaryFolder { folder in
      let cache = KernelCache(folder: "\(folder)/c")
      cache.write(image, "k")
      let path = try #require(cache.path("k"))
      #expect(chown(path, 12345, 0) == 0)
      #expect(cache.read("k") == nil && cache.problem == nil)
      #expect(chown(path, 0, 0) == 0 && cache.read("k") == image)
      #expect(chown("\(folder)/c", 12345, 0) == 0)
      #expect(cache.read("k") == nil && cache.problem == "belongs to another user")
    }
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
