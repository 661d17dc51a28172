// The threads that share work: every piece is done once, whether the threads are awake, asleep or just falling asleep.

import Dispatch
import Foundation
import Synchronization
import TensorCore
import Testing

@Suite struct ThreadPoolTests {
  /// Runs `count` pieces on a pool; returns how often each was done.
  private func timesDone(_ count: Int, helpers: Int, by pool: ThreadPool) -> [Int] {
    let done = Mutex([Int](repeating: 0, count: count))
    let next = Atomic<Int>(0)
    let hasRun = pool.run(helpers: helpers) {
      while true {
        let piece = next.wrappingAdd(1, ordering: .relaxed).oldValue
        if piece >= count { return }
        done.withLock { $0[piece] += 1 }
      }
    }
    #expect(hasRun)
    return done.withLock { $0 }
  }

  /// Pauses around the time after which a thread falls asleep: it must not miss work that arrives just then.
  @Test(arguments: [1, 3, 7])
  func everyPieceIsDoneOnce(_ helpers: Int) {
    let pool = ThreadPool()
    for round in 0..<2000 {
      let times = timesDone(round % 17, helpers: helpers, by: pool)
      #expect(times.allSatisfy { $0 == 1 })
      if round % 10 == 0 { usleep(UInt32(round % 500)) }
    }
  }

  /// `run` returns only when the other threads have left the work too.
  @Test func nobodyIsAtWorkAfterwards() {
    let pool = ThreadPool()
    for _ in 0..<1000 {
      let inside = Atomic<Int>(0)
      _ = pool.run(helpers: 3) {
        inside.add(1, ordering: .sequentiallyConsistent)
        for _ in 0..<100 { _ = inside.load(ordering: .sequentiallyConsistent) }
        inside.subtract(1, ordering: .sequentiallyConsistent)
      }
      #expect(inside.load(ordering: .sequentiallyConsistent) == 0)
    }
  }

  /// Two threads meet within a piece, so a second one must have joined.
  @Test func othersJoinIn() {
    let pool = ThreadPool()
    for pause in [0, 1000, 0, 1000] as [UInt32] {
      usleep(pause)
      let arrived = Atomic<Int>(0)
      let deadline = ContinuousClock.now + .seconds(20)
      _ = pool.run(helpers: 1) {
        arrived.add(1, ordering: .relaxed)
        while arrived.load(ordering: .relaxed) < 2, ContinuousClock.now < deadline {}
      }
      #expect(arrived.load(ordering: .relaxed) == 2)
    }
  }

  @Test func aBusyThreadPoolRefusesOtherWork() {
    let pool = ThreadPool()
    let refused = Atomic<Int>(0)
    let runs = Atomic<Int>(0)
    let hasRun = pool.run(helpers: 2) {
      runs.add(1, ordering: .relaxed)
      if !pool.run(helpers: 2, {}) { refused.add(1, ordering: .relaxed) }
    }
    #expect(hasRun && refused.load(ordering: .relaxed) == runs.load(ordering: .relaxed))
  }

  /// Operators called by several threads at the same time share one pool; the results are those of sequential calls.
  @Test func operatorsMayRunAtTheSameTime() throws {
    let x = try Tensor<CPU<Float>>([Float](repeating: 0.5, count: 40 * 256), shape: [1, 40, 256], on: HostDevice())
    let w = try Tensor<CPU<Float>>((0..<512 * 256).map { Float($0 % 101) / 101 }, shape: [512, 256], on: HostDevice())
    let expected = try CPU.linear(x, weight: w, bias: nil).scalars()
    let wrong = Atomic<Int>(0)
    DispatchQueue.concurrentPerform(iterations: 8) { _ in
      for _ in 0..<50 where (try? CPU.linear(x, weight: w, bias: nil).scalars()) != expected {
        wrong.add(1, ordering: .relaxed)
      }
    }
    #expect(wrong.load(ordering: .relaxed) == 0)
  }
}
