// What a running request tells and how it ends: progress scale by scale, cancellation within one scale and at once while it
// waits, nothing after an error. The shipped model samples; what its images look like is not judged here.

import Dispatch
import MVARPipeline
import Synchronization
import Testing

@Suite("running requests")
struct RunningRequestTests {
  @Test func progressCountsTheScalesOfEveryBatchInOrder() async throws {
    let generator = try ImageGenerator.shipped()
    let heard = Mutex<[SamplingProgress]>([])
    let request = try generator.images(labels: [0, 1, 2], batch: 2) { progress in heard.withLock { $0.append(progress) }
    }
    var count = 0
    for try await _ in request { count += 1 }
    #expect(count == 3 && request.count == 3)
    let scales = generator.scaleList.count
    let reports = heard.withLock { $0 }
    #expect(reports.map(\.scale) == Array(0..<scales) + Array(0..<scales))
    #expect(
      reports.map(\.images) == [Range](repeating: 0..<2, count: scales) + [Range](repeating: 2..<3, count: scales))
    #expect(reports.allSatisfy { $0.scaleCount == scales && $0.imageCount == 3 })
  }

  @Test func nothingIsComputedBeforeItIsAskedFor() async throws {
    let scales = Atomic<Int>(0)
    let generator = try ImageGenerator.shipped()
    let request = try generator.images(labels: [0, 1], batch: 1) { _ in
      scales.add(1, ordering: .sequentiallyConsistent)
    }
    var iterator = request.makeAsyncIterator()
    #expect(scales.load(ordering: .sequentiallyConsistent) == 0)
    _ = try await iterator.next()
    #expect(scales.load(ordering: .sequentiallyConsistent) == generator.scaleList.count)
  }

  @Test func canceledTaskEndsBeforeASecondScale() async throws {
    let scales = Atomic<Int>(0)
    let (began, continuation) = AsyncStream.makeStream(of: Void.self)
    let request = try ImageGenerator.shipped().images(labels: [Int](repeating: 3, count: 50), batch: 1) { _ in
      scales.add(1, ordering: .sequentiallyConsistent)
      continuation.yield()
    }
    let task = Task { for try await _ in request {} }
    var events = began.makeAsyncIterator()
    await events.next()
    task.cancel()
    let before = scales.load(ordering: .sequentiallyConsistent)
    await #expect(throws: CancellationError.self) { try await task.value }
    // The scale that was being sampled may have been reported at the same moment.
    #expect(scales.load(ordering: .sequentiallyConsistent) - before <= 1)
  }

  @Test func taskThatWasCanceledBeforeComputesNothing() async throws {
    let scales = Atomic<Int>(0)
    let request = try ImageGenerator.shipped().images(labels: [0]) { _ in
      scales.add(1, ordering: .sequentiallyConsistent)
    }
    let task = Task {
      while !Task.isCancelled { await Task.yield() }
      for try await _ in request {}
    }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(scales.load(ordering: .sequentiallyConsistent) == 0)
  }

  // With a limit, since a generator that told too late would never be let go on.
  @Test(.timeLimit(.minutes(1))) func requestThatWaitsForItsTurnIsCanceledAtOnce() async throws {
    let generator = try ImageGenerator.shipped()
    let (began, continuation) = AsyncStream.makeStream(of: Void.self)
    let othersScales = Atomic<Int>(0)
    // The first request keeps the generator busy for as long as this test wants.
    let gate = DispatchSemaphore(value: 0)
    let busy = Task {
      for try await _ in try generator.images(
        labels: [0],
        progress: { progress in
          if progress.scale == 0 {
            continuation.yield()
            gate.wait()
          }
        })
      {}
    }
    var events = began.makeAsyncIterator()
    await events.next()
    let waiting = Task {
      for try await _ in try generator.images(
        labels: [1],
        progress: { _ in
          othersScales.add(1, ordering: .sequentiallyConsistent)
        })
      {}
    }
    waiting.cancel()
    await #expect(throws: CancellationError.self) { try await waiting.value }
    gate.signal()
    try await busy.value
    #expect(othersScales.load(ordering: .sequentiallyConsistent) == 0)
  }

  @Test func iteratorEndsAfterAnError() async throws {
    let request = try ImageGenerator.shipped().images(labels: [0, 0], batch: 1)
    let task = Task { () -> (wasCanceled: Bool, hasMore: Bool) in
      while !Task.isCancelled { await Task.yield() }
      var iterator = request.makeAsyncIterator()
      var wasCanceled = false
      do { _ = try await iterator.next() } catch { wasCanceled = error is CancellationError }
      return (wasCanceled, try await iterator.next() != nil)
    }
    task.cancel()
    let end = try await task.value
    #expect(end.wasCanceled && !end.hasMore)
  }
}
