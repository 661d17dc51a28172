// The program `mvar-thread-check`, to be built with ThreadSanitizer (`Scripts/fuzz threads SECONDS`). What threads share is
// used round after round by one thread and by several at a time, and every result is compared:
//
// - the pool of threads that all operators share, with work of every length;
// - the memory of tensors, which one thread makes and another drops;
// - the loader, which prepares the next batch while this one is used, and its order of samples.
//
//     mvar-thread-check SECONDS [--race]      --race adds a data race, to see that one would be found

import Dispatch
import Foundation
import MVARTraining
import Synchronization
import TensorCore

@main
struct ThreadCheck {
  static func main() throws {
    guard CommandLine.arguments.count >= 2, let seconds = Double(CommandLine.arguments[1]) else {
      FileHandle.standardError.write(Data("mvar-thread-check: say for how many seconds\n".utf8))
      exit(64)
    }
    if CommandLine.arguments.contains("--race") { race() }
    ThreadCount.current = 4
    let end = ContinuousClock.now + .seconds(seconds)
    var rounds = 0
    repeat {
      // So long between two rounds that the threads of the pool fall asleep now and then.
      if rounds % 16 == 15 { usleep(200) }
      pool(round: rounds)
      // Several threads want the pool at a time; one gets it, the others work by themselves.
      if rounds % 4 == 0 {
        DispatchQueue.concurrentPerform(iterations: 3) { [rounds] thread in pool(round: rounds + thread) }
      }
      if rounds % 64 == 0 { try operators() }
      if rounds % 64 == 32 { loader() }
      rounds += 1
    } while ContinuousClock.now < end
    print("mvar-thread-check: \(rounds) rounds")
  }

  // MARK: Operators

  /// Pieces of one work, which write to plain memory, one element each.
  private static func pool(round: Int) {
    let count = 1 + round % 61
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
    if !ThreadPool.shared.run(helpers: round % 5, work) { work() }
    guard (0..<count).allSatisfy({ squares[$0] == $0 * $0 }) else { fatalError("pieces that were not done, or twice") }
  }

  /// Threads run operators, each of which wants four threads, and drop each other's results.
  private static func operators() throws {
    func tensor(_ rows: Int, _ prime: Int) throws -> Tensor<CPU<Float>> {
      try Tensor((0..<rows * 960).map { Float($0 % prime) / Float(prime) - 0.5 }, shape: [rows, 960], on: HostDevice())
    }
    let (x, weight) = (try tensor(64, 89), try tensor(1280, 97))
    let expected = try CPU.silu(CPU.linear(x, weight: weight, bias: nil)).scalars()
    let results = CheckedResults()
    DispatchQueue.concurrentPerform(iterations: 8) { _ in
      let y = CPU.silu(CPU.linear(x, weight: weight, bias: nil))
      guard (try? y.scalars()) == expected else { fatalError("threads change results") }
      results.keep(y)
    }
  }

  // MARK: Batches

  /// Threads read batches in order and out of order, of loaders that share an order of samples.
  private static func loader() {
    let examples = (0..<9).map {
      LabeledImages.Example(label: $0 % 3, name: "\($0)", pixels: [UInt8](repeating: UInt8($0), count: 3 * 8 * 8))
    }
    let order = SampleOrder(labels: examples.map(\.label), batch: 4, seed: 1, balance: .none)
    DispatchQueue.concurrentPerform(iterations: 2) { thread in
      let loader = BatchLoader(
        images: examples, side: 8, order: order, augmentation: Augmentation(flips: true, shift: 1), seed: 1)
      for batch in [0, 1, 2, 7, 8, thread, thread + 1] {
        guard loader.batch(batch).labels == order.indices(ofBatch: batch).map({ examples[$0].label }) else {
          fatalError("a batch of other examples")
        }
      }
    }
  }

  // MARK: A race

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

/// The last results of all threads, behind a lock that the sanitizer sees.
private final class CheckedResults: @unchecked Sendable {
  private let lock = NSLock()
  private var kept: [Tensor<CPU<Float>>] = []

  func keep(_ result: Tensor<CPU<Float>>) {
    lock.lock()
    defer { lock.unlock() }
    kept.append(result)
    if kept.count > 3 { kept.removeFirst() }
  }
}
