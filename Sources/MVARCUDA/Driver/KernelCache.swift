// Compiled kernels on disk, so that a kernel is compiled once per machine and not once per run.
//
// An entry is a file named by a hash of everything that determines its contents. It begins with the SHA-256 of that name and
// of the contents, which is checked on reading: an entry that is damaged, or stands under the name of another, is treated as
// missing. A kernel is a program, so entries that somebody else could have written are not used either: folder and file must
// belong to the user or to the system, and nobody else may be able to write to them. Entries are written as a whole. Without a
// folder that can be used, nothing is kept: the kernels are compiled again next time.

import Foundation
import MVARFiles

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
  /// The largest entry that is read; all kernels together are a hundredth of it.
  private static let mostBytes = 256 << 20
  /// What an entry begins with, before the hash.
  private static let signature = Array("MVARKRN2".utf8)
  private static let headerCount = 40

  /// The name of the entry for texts; it depends on each text and on where one ends and the next begins.
  package static func key(_ texts: [String]) -> String {
    var hash = SHA256()
    for text in texts {
      let bytes = Array(text.utf8)
      hash.add(Array("\(bytes.count):".utf8))
      hash.add(bytes)
    }
    return SHA256.hexadecimal(hash.digest)
  }

  /// The file for a key.
  package func path(_ key: String) -> String? { folder.map { "\($0)/\(key).kernels" } }

  /// Why the folder is not used; nil if it is, or if there is none.
  package var problem: String? {
    guard let folder else { return nil }
    let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { return errno == ENOENT ? nil : "cannot be opened: \(SystemError())" }
    defer { close(descriptor) }
    return Self.problem(of: descriptor)
  }

  /// The entry for a key; nil if there is none, it is damaged, or others could have written it.
  package func read(_ key: String) -> [UInt8]? {
    guard let path = path(key), problem == nil else { return nil }
    let descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    guard Self.problem(of: descriptor) == nil, let data = try? file.read(upToCount: Self.mostBytes),
      data.count > Self.headerCount
    else { return nil }
    let contents = [UInt8](data.dropFirst(Self.headerCount))
    guard data.starts(with: Self.header(contents, key)) else { return nil }
    return contents
  }

  /// Stores an entry if possible.
  package func write(_ contents: [UInt8], _ key: String) {
    guard let folder, let path = path(key) else { return }
    try? FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    guard problem == nil else { return }
    // A link would be followed.
    var status = stat()
    if lstat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG { unlink(path) }
    try? FileReplacement.write(to: path) { descriptor in
      _ = fchmod(descriptor, 0o600)
      try Descriptor.writeAll(Self.header(contents, key) + contents, to: descriptor)
    }
    removeOldest(in: URL(filePath: folder))
  }

  /// Why a file or folder must not be trusted: who owns it, or who may write to it.
  private static func problem(of descriptor: Int32) -> String? {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { return "cannot be examined: \(SystemError())" }
    guard status.st_mode & S_IFMT == S_IFREG || status.st_mode & S_IFMT == S_IFDIR else { return "is no file" }
    guard status.st_uid == geteuid() || status.st_uid == 0 else { return "belongs to another user" }
    return status.st_mode & 0o022 == 0 ? nil : "may be written by others"
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

  private static func header(_ contents: [UInt8], _ key: String) -> [UInt8] {
    var hash = SHA256()
    hash.add(Array("\(key.utf8.count):\(key)".utf8))
    hash.add(contents)
    return signature + hash.digest
  }
}
