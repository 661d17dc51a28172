// Compiled kernels on disk, so that a kernel is compiled once per machine and not once per run.
//
// An entry is a file named by a hash of everything that determines its contents. It begins with a hash of the contents,
// which is checked on reading: a damaged entry is treated as missing. Entries are written under a temporary name and
// then renamed, so that programs that write the same one at the same time cannot interfere with each other or with a
// reader. Without a folder to write to, nothing is kept and nothing is reported: the kernels are compiled again next
// time.

import Foundation

/// A folder of compiled kernels.
package struct KernelCache: Sendable {
  /// The folder; nil for none.
  package let folder: String?

  /// A cache in a folder, which need not exist.
  package init(folder: String?) { self.folder = folder }

  /// The user's cache: `MVAR_CUDA_CACHE` (empty for none), or `mvar/kernels` in the system's cache folder.
  package init(
    environment: [String: String] = ProcessInfo.processInfo.environment, home: String = NSHomeDirectory()
  ) {
    if let folder = environment["MVAR_CUDA_CACHE"] {
      self.init(folder: folder.isEmpty ? nil : folder)
    } else if let caches = environment["XDG_CACHE_HOME"], caches.hasPrefix("/") {
      self.init(folder: "\(caches)/mvar/kernels")
    } else {
      self.init(folder: "\(home)/.cache/mvar/kernels")
    }
  }

  /// How many entries are kept: those of all kernel files for three kinds of devices.
  private static let mostEntries = 64
  /// What an entry begins with, before the hash of its contents.
  private static let signature = Array("MVARCUDA".utf8)
  private static let headerCount = 24

  /// The name of the entry for texts; it depends on each text and on where one ends and the next begins.
  package static func key(_ texts: [String]) -> String {
    var hash = ContentHash()
    for text in texts {
      let bytes = Array(text.utf8)
      hash.add(Array("\(bytes.count):".utf8))
      hash.add(bytes)
    }
    return hash.bytes.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
  }

  /// The file for a key.
  package func path(_ key: String) -> String? { folder.map { "\($0)/\(key).kernels" } }

  /// The entry for a key; nil if there is none, or it is damaged.
  package func read(_ key: String) -> [UInt8]? {
    guard let path = path(key), let data = FileManager.default.contents(atPath: path),
      data.count > Self.headerCount
    else { return nil }
    let bytes = Array(data)
    let contents = Array(bytes[Self.headerCount...])
    guard bytes.starts(with: Self.header(contents)) else { return nil }
    return contents
  }

  /// Stores an entry if possible.
  package func write(_ contents: [UInt8], _ key: String) {
    guard let folder, let path = path(key) else { return }
    try? FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    // Atomically: Foundation writes a file of another name in the same folder and renames it.
    try? Data(Self.header(contents) + contents).write(to: URL(filePath: path), options: .atomic)
    removeOldest(in: URL(filePath: folder))
  }

  /// Removes the entries beyond those that are kept, as far as possible.
  private func removeOldest(in folder: URL) {
    let entries =
      (try? FileManager.default.contentsOfDirectory(
        at: folder, includingPropertiesForKeys: [.contentModificationDateKey]))?.filter {
        $0.pathExtension == "kernels"
      }
    guard let entries, entries.count > Self.mostEntries else { return }
    func time(_ entry: URL) -> Date {
      (try? entry.resourceValues(forKeys: [.contentModificationDateKey]))?.contentModificationDate ?? .distantPast
    }
    let byAge = entries.map { (entry: $0, time: time($0)) }.sorted { $0.time > $1.time }
    for (entry, _) in byAge[Self.mostEntries...] { try? FileManager.default.removeItem(at: entry) }
  }

  private static func header(_ contents: [UInt8]) -> [UInt8] {
    var hash = ContentHash()
    hash.add(contents)
    return signature + hash.bytes
  }
}

/// The 128-bit FNV-1a hash: it distinguishes different contents, but does not resist an attacker.
private struct ContentHash {
  private var state: UInt128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d

  mutating func add(_ bytes: [UInt8]) {
    for byte in bytes {
      state = (state ^ UInt128(byte)) &* 0x0000_0000_0100_0000_0000_0000_0000_013b
    }
  }

  var bytes: [UInt8] { (0..<16).map { UInt8(truncatingIfNeeded: state >> (120 - 8 * UInt128($0))) } }
}
