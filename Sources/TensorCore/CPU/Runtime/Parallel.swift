// Spreading independent pieces of work over the processors.
//
// The threads are those of `ThreadPool`, or Dispatch's where several operators run at a time. OpenBLAS is set to use
// one thread per call and is called from the pieces. The pieces do not depend on the number of threads, so neither do
// results.

import CMVAROpenBLAS
import CMVARProcessor
import Dispatch
import Foundation
import Synchronization

/// The number of threads that operators use; set it before the first operator runs.
///
/// What the CPU engine does to the process it runs in, all of it when the first operator runs:
/// - it keeps up to one thread fewer than set here until the process ends; they are named `mvar`;
/// - it reserves up to 1 TiB of addresses, and requests pages as tensors need them;
/// - it sets OpenBLAS to one thread per call for the whole process, unless `managesOpenBLAS` is false.
///
/// It reads Linux control groups to count processors. It changes no signal handler and no environment variable, and
/// writes nothing.
public enum ThreadCount {
  private static let chosen = Atomic<Int>(ProcessorShare.processors)

  /// The number of threads; at least 1. By default one per processor available to this process.
  public static var current: Int {
    get { chosen.load(ordering: .relaxed) }
    set { chosen.store(max(newValue, 1), ordering: .relaxed) }
  }

  private static let setsOpenBLAS = Atomic<Bool>(true)

  /// Whether the first operator sets OpenBLAS to one thread per call, as it should, because OpenBLAS is called from
  /// several threads at a time. The setting applies to the whole process. A program that uses OpenBLAS for its own work
  /// sets this to false before the first operator runs, and chooses the setting itself; with more than one thread per
  /// call, operators are slower, and their results may depend on the number of threads.
  public static var managesOpenBLAS: Bool {
    get { setsOpenBLAS.load(ordering: .relaxed) }
    set { setsOpenBLAS.store(newValue, ordering: .relaxed) }
  }
}

/// Sets OpenBLAS to one thread per call, once, before the first parallel piece runs.
private let singleThreadedBLAS: Void = {
  if ThreadCount.managesOpenBLAS { openblas_set_num_threads(1) }
}()

/// Runs `body` once for each piece 0 ..< count; pieces may run at the same time and in any order.
///
/// Pieces are handed out one by one, so they should be long enough (tens of microseconds), with a few per thread.
@inline(__always)
func parallel(_ count: Int, _ body: (Int) -> Void) {
  _ = singleThreadedBLAS
  let threads = min(ThreadCount.current, count)
  if threads <= 1 {
    for piece in 0..<count { body(piece) }
    return
  }
  let next = Atomic<Int>(0)
  func work() {
    while true {
      let piece = next.wrappingAdd(1, ordering: .relaxed).oldValue
      if piece >= count { return }
      body(piece)
    }
  }
  if ThreadPool.shared.run(helpers: threads - 1, work) { return }
  withoutActuallyEscaping(work) { work in
    nonisolated(unsafe) let work = work
    DispatchQueue.concurrentPerform(iterations: threads) { _ in work() }
  }
}

/// Runs `body` on ranges that together cover 0 ..< count, each of at most `grain` elements.
@inline(__always)
func parallel(_ count: Int, grain: Int, _ body: (Range<Int>) -> Void) {
  let grain = max(grain, 1)
  parallel((count + grain - 1) / grain) { piece in
    body(piece * grain..<min((piece + 1) * grain, count))
  }
}

/// Waits for what another thread is about to do: some microseconds of work, unless that thread has been suspended. Then
/// this one sleeps, so that its processor is free for the other.
@inline(__always)
func waitUntil(_ isDone: () -> Bool) {
  if pollUntil(isDone) { return }
  while !isDone() { usleep(20) }
}

/// Polls for what another thread is about to do, for about as long as it takes to wake a thread: 40 µs. The time is measured,
/// since a pause takes ten times as long on some processors as on others.
///
/// - Returns: whether it is done.
@inline(__always)
func pollUntil(_ isDone: () -> Bool) -> Bool {
  var end: UInt64 = 0
  while true {
    for _ in 0..<64 {
      if isDone() { return true }
      relax()
    }
    let now = DispatchTime.now().uptimeNanoseconds
    if end == 0 { end = now + 40_000 } else if now > end { return isDone() }
  }
}
