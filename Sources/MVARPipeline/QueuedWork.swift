// Work that a task has put into a queue and waits for. A task that is canceled while its work still waits is told at once, and
// the work is never begun; work that has begun looks at `check` whenever it can stop.

import Synchronization

/// A piece of work for another thread, and the task that waits for it.
final class QueuedWork<Value: Sendable>: Sendable {
  private enum State {
    case new
    case waiting(CheckedContinuation<Value, any Error>)
    case begun
    case canceled
  }
  private let state = Mutex(State.new)

  /// Notes who waits.
  ///
  /// - Returns: whether the work is to be put into the queue; false when its task has been canceled before.
  func wait(_ continuation: CheckedContinuation<Value, any Error>) -> Bool {
    let isCanceled = state.withLock { state in
      if case .canceled = state { return true }
      state = .waiting(continuation)
      return false
    }
    if isCanceled { continuation.resume(throwing: CancellationError()) }
    return !isCanceled
  }

  /// Ends the waiting, or tells the work that has begun to stop.
  func cancel() {
    let waiting = state.withLock { state in
      defer { state = .canceled }
      return Self.continuation(state)
    }
    waiting?.resume(throwing: CancellationError())
  }

  /// Does the work unless its task has been canceled. `check` throws once it is.
  func run(_ work: (_ check: () throws -> Void) throws -> Value) {
    let waiting = state.withLock { state in
      let waiting = Self.continuation(state)
      if waiting != nil { state = .begun }
      return waiting
    }
    waiting?.resume(with: Result { try work(check) })
  }

  private func check() throws {
    let isCanceled = state.withLock { state in
      if case .canceled = state { true } else { false }
    }
    if isCanceled { throw CancellationError() }
  }

  private static func continuation(_ state: State) -> CheckedContinuation<Value, any Error>? {
    if case .waiting(let continuation) = state { continuation } else { nil }
  }
}
