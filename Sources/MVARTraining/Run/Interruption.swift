// Turns Ctrl-C into a flag that a training loop checks between two steps, so that it can write a checkpoint first.
//
// The signal handler sets a bit in an atomic integer and says that the step is being finished, with `write`, one of the
// few functions that a handler may call; a second SIGINT ends the process at once, with status 130. It stops nothing itself.

import Foundation
import Synchronization

/// Bit n is set when signal n arrived; one integer for the process, because a handler cannot have context.
private let arrived = Atomic<UInt64>(0)

private func noteSignal(_ signal: Int32) {
  let bit = UInt64(1) << UInt64(signal & 63)
  let before = arrived.bitwiseOr(bit, ordering: .relaxed).oldValue
  guard signal == SIGINT else { return }
  if before & bit != 0 { _exit(130) }
  // The string is a constant in the program; nothing is allocated.
  let note: StaticString = "\nfinishing this step to save it; Ctrl-C again quits without saving\n"
  _ = write(STDERR_FILENO, note.utf8Start, note.utf8CodeUnitCount)
}

/// An external request to end the run.
public final class Interruption: Sendable {
  private typealias Handler = @convention(c) (Int32) -> Void
  private let signals: [Int32]
  private let mask: UInt64
  private let earlier = Mutex<[(signal: Int32, handler: Handler?)]>([])

  /// A request made by the given signals; nothing is caught before ``install()``.
  ///
  /// - Parameter signals: signal numbers from 1 to 63; two interruptions that are installed at the same time must not
  ///   share one.
  public init(signals: [Int32] = [SIGINT, SIGTERM]) {
    precondition(signals.allSatisfy { 1...63 ~= $0 }, "signal numbers lie between 1 and 63")
    self.signals = signals
    mask = signals.reduce(0) { $0 | 1 << UInt64($1) }
  }

  /// Whether one of the signals arrived since ``install()``.
  public var isRequested: Bool { arrived.load(ordering: .relaxed) & mask != 0 }

  /// The signal that arrived, the lowest number of several; nil for none.
  public var signal: Int32? {
    let found = arrived.load(ordering: .relaxed) & mask
    return found == 0 ? nil : Int32(found.trailingZeroBitCount)
  }

  /// Starts catching the signals and discards earlier ones; does nothing when already installed.
  public func install() {
    earlier.withLock { earlier in
      guard earlier.isEmpty else { return }
      // This also initializes the integer, which must not happen inside a handler.
      arrived.bitwiseAnd(~mask, ordering: .relaxed)
      earlier = signals.map { ($0, Foundation.signal($0, noteSignal)) }
      // A program started from a thread that blocks signals, as worker threads do, inherits that and would never
      // receive them.
      var unblocked = sigset_t()
      sigemptyset(&unblocked)
      for number in signals { sigaddset(&unblocked, number) }
      pthread_sigmask(SIG_UNBLOCK, &unblocked, nil)
    }
  }

  /// Restores the previous handlers of the signals, and discards those that arrived.
  public func uninstall() {
    earlier.withLock { earlier in
      guard !earlier.isEmpty else { return }
      for (number, handler) in earlier { _ = Foundation.signal(number, handler) }
      earlier = []
      arrived.bitwiseAnd(~mask, ordering: .relaxed)
    }
  }

  deinit { uninstall() }
}
