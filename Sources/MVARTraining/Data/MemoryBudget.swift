// Bounds the memory that concurrent work takes together: who needs some waits until it is free. Nothing is allocated
// here, and what one piece of work needs is an estimate that the caller makes.

import Foundation

/// Memory that is shared by several threads.
final class MemoryBudget: @unchecked Sendable {
  // Guarded by `condition`.
  private var free: Int
  private let total: Int
  private let condition = NSCondition()

  /// - Parameter bytes: what may be in use at once.
  init(_ bytes: Int) {
    (total, free) = (bytes, bytes)
  }

  /// Waits for memory; more than there is in all waits until nothing else is in use.
  ///
  /// - Returns: what is to be given back by ``release(_:)``.
  func reserve(_ bytes: Int) -> Int {
    let share = min(max(bytes, 0), total)
    condition.lock()
    while free < share { condition.wait() }
    free -= share
    condition.unlock()
    return share
  }

  /// Gives memory back.
  func release(_ share: Int) {
    condition.lock()
    free += share
    condition.broadcast()
    condition.unlock()
  }
}
