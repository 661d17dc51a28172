// Which examples are held out: always the same, at least one in five, never all, and barely affected by a new file.

import MVARTestSupport
import MVARTraining
import Testing

@Suite("Held-out examples")
struct DataSplitTests {
  /// A folder of one class with the given number of images.
  private func split(_ count: Int, heldOut: Int, leavingOut missing: Int? = nil) throws -> (Set<String>, Set<String>) {
    try withTemporaryFolder { path in
      let folder = SampleFolder(path: path)
      for number in 0..<count where number != missing { try folder.write(grayPNG, "a/\(number).png") }
      let images = try LabeledImages(path: path, side: 4, heldOut: heldOut)
      return (Set(images.training.map(\.name)), Set(images.validation.map(\.name)))
    }
  }

  @Test(
    "how many",
    arguments: [
      (1, 10, 0), (4, 10, 0), (5, 10, 1), (14, 10, 1), (15, 10, 2), (24, 10, 2), (25, 10, 3), (30, 0, 0), (3, 1, 2),
      (1, 1, 0), (9, 2, 5), (5, .max, 1), (4, 3, 1),
    ] as [(Int, Int, Int)])
  func counts(_ count: Int, _ heldOut: Int, _ expected: Int) throws {
    let (training, validation) = try split(count, heldOut: heldOut)
    #expect(validation.count == expected)
    #expect(training.count == count - expected)
    #expect(training.isDisjoint(with: validation))
  }

  @Test("the split of these names is this one, for ever")
  func fixed() throws {
    let (_, validation) = try split(40, heldOut: 10)
    #expect(validation.sorted() == ["a/11.png", "a/15.png", "a/29.png", "a/33.png"])
    let (_, without) = try split(40, heldOut: 10, leavingOut: 7)
    #expect(validation.subtracting(without).count <= 1)
  }

  @Test("every class is split for itself")
  func classes() throws {
    try withTemporaryFolder { path in
      let folder = SampleFolder(path: path)
      for name in ["a", "b", "c"] {
        for number in 0..<10 { try folder.write(grayPNG, "\(name)/\(number).png") }
      }
      let images = try LabeledImages(path: path, side: 4, heldOut: 5)
      #expect(images.validation.map(\.label) == [0, 0, 1, 1, 2, 2])
      #expect(images.training.map(\.label) == images.training.map(\.label).sorted())
      let again = try LabeledImages(path: path, side: 2, heldOut: 5)
      #expect(again.validation.map(\.name) == images.validation.map(\.name))
    }
  }
}
