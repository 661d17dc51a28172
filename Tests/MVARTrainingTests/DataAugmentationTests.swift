// Flips and shifts: what moves where, that borders repeat, that protected labels stay, and that random numbers come
// from their own positions in the stream. Then the batches made from such images.

import Dispatch
import MVARMedia
import MVARTraining
import TensorCore
import Testing

@Suite("Augmentation and batches")
struct DataAugmentationTests {
  @Test("an image moves right and down, and its border is repeated", arguments: [(1, 0), (0, 1), (-2, 3), (9, -9)])
  func shifts(_ dx: Int, _ dy: Int) throws {
    let side = 5
    let image = try pattern(side, side)
    for flip in [false, true] {
      let moved = Augmentation.moved(image.pixels, side: side, flip: flip, dx: dx, dy: dy)
      let result = try PixelImage(width: side, height: side, pixels: moved)
      for y in 0..<side {
        for x in 0..<side {
          let column = min(max(x - dx, 0), side - 1)
          let source = image[row: min(max(y - dy, 0), side - 1), column: flip ? side - 1 - column : column]
          #expect(result[row: y, column: x] == source, "\(flip), \(y), \(x)")
        }
      }
    }
  }

  @Test("flipped twice is as before", arguments: [1, 2, 3, 8])
  func involution(_ side: Int) throws {
    let pixels = try pattern(side, side).pixels
    let once = Augmentation.moved(pixels, side: side, flip: true, dx: 0, dy: 0)
    #expect(side == 1 || once != pixels)
    #expect(Augmentation.moved(once, side: side, flip: true, dx: 0, dy: 0) == pixels)
  }

  @Test("the default changes nothing, protected labels are never flipped, shifts stay in their bounds")
  func plans() throws {
    let pixels = try pattern(4, 4).pixels
    let augmentation = Augmentation(flips: true, shift: 2, unflippable: [3])
    var (flips, offsets): (Int, Set<[Int]>) = (0, [])
    for sample in 0..<2000 {
      let stream = RandomStream(seed: 8, stream: UInt64(sample))
      #expect(Augmentation().apply(pixels, side: 4, label: 0, stream: stream) == pixels)
      let plan = augmentation.plan(label: 0, stream: stream)
      let guarded = augmentation.plan(label: 3, stream: stream)
      #expect(!guarded.flip && guarded.dx == plan.dx && guarded.dy == plan.dy)
      #expect(plan.flip == (stream.uniform(16, purpose: .regularization) < 0.5))
      #expect(plan.dx == Int(stream.uniform(17, purpose: .regularization) * 5) - 2)
      #expect(plan.dy == Int(stream.uniform(18, purpose: .regularization) * 5) - 2)
      if plan.flip { flips += 1 }
      offsets.insert([plan.dx, plan.dy])
      let moved = Augmentation.moved(pixels, side: 4, flip: plan.flip, dx: plan.dx, dy: plan.dy)
      #expect(augmentation.apply(pixels, side: 4, label: 0, stream: stream) == moved)
    }
    #expect(abs(flips - 1000) < 112, "five standard deviations are 112: \(flips)")
    #expect(offsets.count == 25)
    #expect(offsets.allSatisfy { $0.allSatisfy { abs($0) <= 2 } })
  }

  @Test("numbers are those of planarFloats, image after image")
  func numbers() throws {
    let side = 16
    var every = [UInt8](repeating: 0, count: 3 * side * side)
    for place in every.indices { every[place] = UInt8(truncatingIfNeeded: place) }
    let (first, second) = (try PixelImage(width: side, height: side, pixels: every), try pattern(side, side))
    let batch = ImageBatch(labels: [4, 2], pixels: [first.pixels, second.pixels], side: side)
    #expect(batch.labels == [4, 2])
    #expect(batch.images == first.planarFloats() + second.planarFloats())
  }

  private func examples(_ count: Int, side: Int) throws -> [LabeledImages.Example] {
    try (0..<count).map {
      LabeledImages.Example(label: $0 % 3, name: "\($0)", pixels: try pattern(side, side, seed: $0).pixels)
    }
  }

  @Test("a batch made ahead is the same as one that is not, in whatever order they are asked for")
  func loader() throws {
    let side = 6
    let images = try examples(11, side: side)
    let order = SampleOrder(labels: images.map(\.label), batch: 4, seed: 5, balance: .none)
    let augmentation = Augmentation(flips: true, shift: 1, unflippable: [1])
    func direct(_ index: Int) -> ImageBatch {
      let chosen = order.indices(ofBatch: index).map { images[$0] }
      let images = chosen.enumerated().map { row, example in
        augmentation.apply(
          example.pixels, side: side, label: example.label,
          stream: RandomStream(seed: 6, stream: UInt64(4 * index + row)))
      }
      return ImageBatch(labels: chosen.map(\.label), pixels: images, side: side)
    }
    func loader() -> BatchLoader {
      BatchLoader(images: images, side: side, order: order, augmentation: augmentation, seed: 6)
    }
    let sequential = loader()
    for index in 0..<30 { #expect(sequential.batch(index) == direct(index)) }
    let jumping = loader()
    for index in [7, 8, 3, 3, 4, 0, 100, 101, 5] { #expect(jumping.batch(index) == direct(index)) }
    for index in 0..<20 { #expect(loader().batch(index) == direct(index)) }
  }

  @Test("several threads may ask one loader")
  func threads() throws {
    let images = try examples(9, side: 4)
    let order = SampleOrder(labels: images.map(\.label), batch: 3, seed: 5, balance: .full)
    let augmentation = Augmentation(flips: true)
    let shared = BatchLoader(images: images, side: 4, order: order, augmentation: augmentation, seed: 1)
    let single = BatchLoader(images: images, side: 4, order: order, augmentation: augmentation, seed: 1)
    let expected = (0..<50).map { single.batch($0) }
    DispatchQueue.concurrentPerform(iterations: 200) { place in
      #expect(shared.batch(place % 50) == expected[place % 50])
    }
  }

  @Test("a loader that is let go leaves nothing behind")
  func release() throws {
    let images = try examples(9, side: 4)
    let order = SampleOrder(labels: images.map(\.label), batch: 3, seed: 5, balance: .none)
    weak var released: BatchLoader?
    do {
      let loader = BatchLoader(images: images, side: 4, order: order, augmentation: Augmentation(), seed: 1)
      _ = loader.batch(0)
      released = loader
    }
    #expect(released == nil)
  }
}
