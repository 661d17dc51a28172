// In builds for ThreadSanitizer (`Scripts/fuzz threads`, which defines THREAD_SANITIZER) this lock takes the place of the
// library's `Mutex`, which the sanitizer does not see, so that all that it protects would look like a data race.

#if THREAD_SANITIZER
  import Foundation

  /// A value behind a POSIX lock, with the interface of `Mutex`.
  package final class CheckedMutex<Value>: @unchecked Sendable {
    private var value: Value
    private let lock = NSLock()

    /// A lock around a value.
    package init(_ value: Value) { self.value = value }

    /// Runs `body` with the value while no other thread has it.
    package func withLock<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
      lock.lock()
      defer { lock.unlock() }
      return try body(&value)
    }
  }

  typealias Mutex = CheckedMutex
#endif
