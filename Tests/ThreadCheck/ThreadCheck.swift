// The program `mvar-thread-check`, to be built with ThreadSanitizer (`Scripts/fuzz threads SECONDS`): what threads share
// is used by several threads at a time, round after round: the pool that operators share, the memory of tensors that one
// thread makes and another drops, and the loader that prepares batches ahead. It also compares every result.
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
      try operators()
      try loader(round: rounds)
      rounds += 1
    } while ContinuousClock.now < end
    print("mvar-thread-check: \(rounds) rounds")
  }

  /// Four threads run operators, each of which wants four threads, and drop each other's results.
  private static func operators() throws {
    let x = try Tensor<CPU<Float>>((0..<64 * 96).map { Float($0 % 89) / 89 - 0.5 }, shape: [64, 96], on: HostDevice())
    let weight = try Tensor<CPU<Float>>(
      (0..<128 * 96).map { Float($0 % 97) / 97 - 0.5 }, shape: [128, 96], on: HostDevice())
    let expected = try CPU.silu(CPU.linear(x, weight: weight, bias: nil)).scalars()
    let results = Mutex<[Tensor<CPU<Float>>]>([])
    let wrong = Atomic<Int>(0)
    DispatchQueue.concurrentPerform(iterations: 16) { _ in
      let y = CPU.silu(CPU.linear(x, weight: weight, bias: nil))
      if (try? y.scalars()) != expected { wrong.add(1, ordering: .relaxed) }
      // Another thread drops what this one made.
      results.withLock { results in
        results.append(y)
        if results.count > 3 { results.removeFirst() }
      }
    }
    guard wrong.load(ordering: .relaxed) == 0 else { fatalError("threads change results") }
  }

  /// Two threads each read batches in order and out of order, of loaders that prepare the next one.
  private static func loader(round: Int) throws {
    let examples = (0..<9).map {
      LabeledImages.Example(label: $0 % 3, name: "\($0)", pixels: [UInt8](repeating: UInt8($0), count: 3 * 8 * 8))
    }
    DispatchQueue.concurrentPerform(iterations: 2) { thread in
      let order = SampleOrder(labels: examples.map(\.label), batch: 4, seed: 1, balance: .none)
      let loader = BatchLoader(
        images: examples, side: 8, order: order, augmentation: Augmentation(flips: true, shift: 1), seed: 1)
      for batch in [0, 1, 2, 7, 8, thread, thread + 1] {
        guard loader.batch(batch).labels == order.indices(ofBatch: batch).map({ examples[$0].label }) else {
          fatalError("a batch of other examples")
        }
      }
    }
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
