// The program `mvar-thread-check`, to be built with ThreadSanitizer (`Scripts/fuzz threads SECONDS`): the pool of threads
// that all operators share is used round after round, by one thread and by several at a time, with work of every length,
// and every result is compared. The pool consists of atomics and semaphores, which the sanitizer sees. Code between the
// lock and the unlock of a `Mutex` cannot be checked so: the library that it is in is not instrumented.
//
//     mvar-thread-check SECONDS [--race]      --race adds a data race, to see that one would be found

import Dispatch
import Foundation
import Synchronization
import TensorCore

@main
struct ThreadCheck {
  static func main() {
    guard CommandLine.arguments.count >= 2, let seconds = Double(CommandLine.arguments[1]) else {
      FileHandle.standardError.write(Data("mvar-thread-check: say for how many seconds\n".utf8))
      exit(64)
    }
    if CommandLine.arguments.contains("--race") { race() }
    let end = ContinuousClock.now + .seconds(seconds)
    var rounds = 0
    repeat {
      // So long between two rounds that the threads of the pool fall asleep now and then.
      if rounds % 16 == 15 { usleep(200) }
      alone(round: rounds)
      if rounds % 4 == 0 { together(round: rounds) }
      rounds += 1
    } while ContinuousClock.now < end
    print("mvar-thread-check: \(rounds) rounds")
  }

  /// Pieces of one work, which write to plain memory, one element each.
  private static func alone(round: Int) {
    let count = 1 + round % 61
    let found = fill(count, helpers: round % 5)
    guard found == (0..<count).map({ $0 * $0 }) else { fatalError("pieces that were not done, or twice") }
  }

  /// Several threads want the pool at a time; one gets it, the others work by themselves.
  private static func together(round: Int) {
    DispatchQueue.concurrentPerform(iterations: 3) { thread in alone(round: round + thread) }
  }

  private static func fill(_ count: Int, helpers: Int) -> [Int] {
    nonisolated(unsafe) let squares = UnsafeMutablePointer<Int>.allocate(capacity: count)
    squares.initialize(repeating: -1, count: count)
    defer { squares.deallocate() }
    let next = Atomic<Int>(0)
    func work() {
      while true {
        let piece = next.wrappingAdd(1, ordering: .relaxed).oldValue
        if piece >= count { return }
        squares[piece] = piece * piece
      }
    }
    if !ThreadPool.shared.run(helpers: helpers, work) { work() }
    return Array(UnsafeBufferPointer(start: squares, count: count))
  }

  /// Two threads add to the same number without a lock.
  private static func race() {
    nonisolated(unsafe) let number = UnsafeMutablePointer<Int>.allocate(capacity: 1)
    number.initialize(to: 0)
    let threads = (0..<2).map { _ in
      Thread { for _ in 0..<1000 { number.pointee += 1 } }
    }
    for thread in threads { thread.start() }
    while !threads.allSatisfy(\.isFinished) { usleep(1000) }
    print("mvar-thread-check: \(number.pointee) after a race")
  }
}
