// What happens when another process shortens a mapped file and the missing end is touched: the system sends SIGBUS, which
// ends a process without a word. A program may install a handler that says which file it was and exits with status 1.
//
// A signal handler may neither allocate nor lock. So the sentence about a file is made when the file is mapped, and the
// handler only looks through a fixed table, writes one of the sentences and ends the process. Faults outside mapped files
// are left to the system.

import Foundation
import MVARFiles
import Synchronization

/// The handler for mapped files that are shortened.
package enum MappedFileFaults {
  /// A mapped file; empty where `sentence` is nil.
  private struct Entry {
    var start = UInt(0)
    var count = UInt(0)
    var sentence: UnsafeMutablePointer<CChar>?
    var length = 0
  }

  private static let capacity = 1024
  private nonisolated(unsafe) static let table: UnsafeMutablePointer<Entry> = {
    let table = UnsafeMutablePointer<Entry>.allocate(capacity: capacity)
    table.initialize(repeating: Entry(), count: capacity)
    return table
  }()
  /// Held while the table changes; the prefix of all sentences, nil until the handler is installed.
  private static let prefix = Mutex<String?>(nil)

  /// Installs the handler for files that are mapped from now on.
  ///
  /// - Parameter program: the name with which sentences on standard error begin.
  package static func install(program: String) {
    prefix.withLock { prefix in
      guard prefix == nil else { return }
      prefix = "\(program): "
      var action = sigaction()
      #if canImport(Darwin)
        action.__sigaction_u.__sa_sigaction = { _, information, _ in
          MappedFileFaults.leave(UInt(bitPattern: information?.pointee.si_addr))
        }
      #else
        action.__sigaction_handler.sa_sigaction = { _, information, _ in
          MappedFileFaults.leave(UInt(bitPattern: information?.pointee._sifields._sigfault.si_addr))
        }
      #endif
      action.sa_flags = Int32(SA_SIGINFO)
      _ = table
      sigaction(SIGBUS, &action, nil)
    }
  }

  /// Adds a file to the table if the handler is installed and there is room.
  static func add(_ start: UnsafeRawPointer, count: Int, path: String) {
    prefix.withLock { prefix in
      guard let prefix, let entry = (0..<capacity).first(where: { table[$0].sentence == nil }) else { return }
      let sentence = strdup("\(prefix)\(FileError(path, "was shortened while it was being read"))\n")
      guard let sentence else { return }
      table[entry] = Entry(
        start: UInt(bitPattern: start), count: UInt(count), sentence: sentence, length: strlen(sentence))
    }
  }

  /// Removes a file from the table before it is unmapped.
  static func remove(_ start: UnsafeRawPointer) {
    prefix.withLock { prefix in
      guard prefix != nil else { return }
      let address = UInt(bitPattern: start)
      guard let entry = (0..<capacity).first(where: { table[$0].sentence != nil && table[$0].start == address }) else {
        return
      }
      free(table[entry].sentence)
      table[entry] = Entry()
    }
  }

  /// Ends the process if the address is in a mapped file; otherwise the fault happens again, with the system's handler.
  private static func leave(_ address: UInt) {
    for index in 0..<capacity {
      let entry = table[index]
      guard let sentence = entry.sentence, address >= entry.start, address - entry.start < pageEnd(entry.count) else {
        continue
      }
      _ = write(STDERR_FILENO, sentence, entry.length)
      _exit(1)
    }
    signal(SIGBUS, SIG_DFL)
  }

  /// The last page of a file is mapped as a whole.
  private static func pageEnd(_ count: UInt) -> UInt { (count + 0xffff) & ~0xffff }
}
