// Images of classes with the model that ships with MVAR: progress, and a task that is canceled. Nothing is written.

import MVARPipeline
import Synchronization

/// Flags and clocks, two of each; `report` hears of every scale.
public func flagsAndClocks(report: @escaping @Sendable (SamplingProgress) -> Void) async throws -> [GeneratedImage] {
  let generator = try ImageGenerator.shipped()
  var images: [GeneratedImage] = []
  for try await image in try generator.images(of: ["flag", "clock"], count: 2, seed: 5, progress: report) {
    images.append(image)
  }
  return images
}

/// What became of a task that was canceled.
public struct Cancellation: Sendable {
  /// Whether it ended with a `CancellationError`.
  public let endedCanceled: Bool
  /// How many scales were sampled after it was canceled.
  public let scalesAfterwards: Int
}

/// Asks for a hundred images and cancels after the first scale of the first.
public func canceledRequest() async throws -> Cancellation {
  let generator = try ImageGenerator.shipped()
  let scales = Atomic<Int>(0)
  let (began, continuation) = AsyncStream.makeStream(of: Void.self)
  let request = try generator.images(of: ["flag"], count: 100, batch: 1) { _ in
    scales.add(1, ordering: .sequentiallyConsistent)
    continuation.yield()
  }
  let task = Task {
    defer { continuation.finish() }
    for try await _ in request {}
  }
  var events = began.makeAsyncIterator()
  await events.next()
  task.cancel()
  let before = scales.load(ordering: .sequentiallyConsistent)
  let endedCanceled =
    switch await task.result {
    case .success: false
    case .failure(let error): error is CancellationError
    }
  return Cancellation(
    endedCanceled: endedCanceled, scalesAfterwards: scales.load(ordering: .sequentiallyConsistent) - before)
}
