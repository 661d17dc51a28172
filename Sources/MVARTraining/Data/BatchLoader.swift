// Prepares batches of images for the model, the next one on another thread while the current one is used. A batch
// depends on its number alone, so preparing it ahead changes nothing but the time. Only one batch is prepared ahead;
// nothing is read from files here.

import Dispatch
import MVARMedia
import Synchronization
import TensorCore

/// A batch of images as floating-point values.
public struct ImageBatch: Sendable, Equatable {
  /// The class of each image.
  public let labels: [Int]  // [B]
  /// The images, channel by channel, −1…1: `2 · x / 255 − 1` in float32.
  public let images: [Float]  // [B, 3, side, side]

  /// A batch from its parts.
  ///
  /// - Parameters:
  ///   - labels: [B].
  ///   - images: [B, 3, side, side], −1…1.
  public init(labels: [Int], images: [Float]) {
    self.labels = labels
    self.images = images
  }

  /// A batch of interleaved images.
  ///
  /// - Parameters:
  ///   - labels: [B].
  ///   - images: B images, each [side, side, 3].
  ///   - side: rows and columns.
  public init(labels: [Int], pixels images: [[UInt8]], side: Int) {
    precondition(labels.count == images.count, "\(labels.count) labels for \(images.count) images")
    let count = 3 * side * side
    var planes: [Float] = []
    planes.reserveCapacity(images.count * count)
    for image in images {
      precondition(image.count == count, "\(image.count) bytes for an image of side \(side)")
      planes += PixelImage.planarFloats(of: image)
    }
    self.init(labels: labels, images: planes)
  }
}

/// Returns batches by number and prepares the following one ahead of time.
public final class BatchLoader: Sendable {
  private let maker: BatchMaker
  private let queue = DispatchQueue(label: "mvar.batches", qos: .userInitiated)
  private let ahead = Mutex<Prefetched?>(nil)

  /// A loader for a set.
  ///
  /// - Parameters:
  ///   - images: the examples, at least one, each [side, side, 3].
  ///   - side: rows and columns of every image.
  ///   - order: which examples are in which batch; its count is that of the examples.
  ///   - augmentation: flips and shifts.
  ///   - seed: the seed of the augmentation; the stream is the number of the sample.
  ///   - share: which part of every batch is returned.
  public init(
    images: [LabeledImages.Example], side: Int, order: SampleOrder, augmentation: Augmentation, seed: UInt64,
    share: RankShare = .whole
  ) {
    precondition(images.count == order.count, "\(images.count) examples for an order of \(order.count)")
    maker = BatchMaker(
      images: images, side: side, order: order, augmentation: augmentation, seed: seed, share: share)
  }

  /// Returns a batch, and starts preparing the one after it.
  ///
  /// - Parameter index: the number of the batch, from 0. Sequential order is fastest, but any order works.
  public func batch(_ index: Int) -> ImageBatch {
    let waiting = ahead.withLock { ahead in
      defer { ahead = nil }
      return ahead
    }
    let result: ImageBatch
    if let waiting, waiting.index == index {
      result = waiting.value()
    } else {
      waiting?.cancel()
      result = maker.batch(index)
    }
    let next = Prefetched(index: index + 1)
    let replaced = ahead.withLock { ahead in
      defer { ahead = next }
      return ahead
    }
    replaced?.cancel()
    queue.async { [maker] in next.fill { maker.batch(index + 1) } }
    return result
  }

  deinit {
    ahead.withLock { $0?.cancel() }
  }
}

/// Everything a batch is made from.
private struct BatchMaker: Sendable {
  let images: [LabeledImages.Example]
  let side: Int
  let order: SampleOrder
  let augmentation: Augmentation
  let seed: UInt64
  let share: RankShare

  func batch(_ index: Int) -> ImageBatch {
    let rows = share.part(of: order.batch)
    let chosen = order.indices(ofBatch: index)[rows].map { images[$0] }
    let pixels = zip(rows, chosen).map { row, example in
      let sample = UInt64(order.firstSample(ofBatch: index) + row)
      let stream = RandomStream(seed: seed, stream: sample)
      return augmentation.apply(example.pixels, side: side, label: example.label, stream: stream)
    }
    return ImageBatch(labels: chosen.map(\.label), pixels: pixels, side: side)
  }
}

/// A batch that another thread prepares, unless it is canceled.
private final class Prefetched: Sendable {
  let index: Int
  private let state = Mutex<(isCanceled: Bool, batch: ImageBatch?)>((false, nil))
  private let done = DispatchSemaphore(value: 0)

  init(index: Int) { self.index = index }

  func fill(_ make: () -> ImageBatch) {
    if state.withLock({ $0.isCanceled }) { return }
    let batch = make()
    state.withLock { $0.batch = batch }
    done.signal()
  }

  func cancel() {
    state.withLock { $0.isCanceled = true }
  }

  /// Waits for the batch; for one caller only, and never after `cancel`.
  func value() -> ImageBatch {
    done.wait()
    guard let batch = state.withLock({ $0.batch }) else { preconditionFailure("a batch that was not made") }
    return batch
  }
}
