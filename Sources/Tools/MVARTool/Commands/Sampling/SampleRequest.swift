// Which images a `mvar sample` is for: classes one after another, with as many images each. Nothing here grows with the number
// of images.

/// The images of a request, counted from 0.
struct SampleRequest {
  /// How many images there are.
  enum Size {
    /// Of each class.
    case each(Int)
    /// Of all classes, at least as many as there are classes.
    case total(Int)
  }

  /// The classes in the order in which they are sampled; one that is there twice is sampled twice.
  let classes: [Int]
  /// How many images there are.
  let count: Int
  private let nullLabel: Int
  /// How many images each class has, and how many of the first classes have one more.
  private let (each, longer): (Int, Int)

  /// A request.
  ///
  /// - Parameters:
  ///   - classes: at least one.
  ///   - nullLabel: the label of no class.
  init(_ classes: [Int], nullLabel: Int, _ size: Size) {
    self.classes = classes
    self.nullLabel = nullLabel
    switch size {
    case .each(let each): (self.each, longer, count) = (each, 0, each * classes.count)
    case .total(let total):
      ((each, longer), count) = (total.quotientAndRemainder(dividingBy: classes.count), total)
    }
  }

  /// The label of an image.
  subscript(image: Int) -> Int {
    let ofLonger = longer * (each + 1)
    return classes[image < ofLonger ? image / (each + 1) : longer + (image - ofLonger) / each]
  }

  /// Whether an image is of no class.
  func isNull(_ image: Int) -> Bool { self[image] == nullLabel }

  /// The images from one on that are sampled at once: all of a class or all of none, since the latter are not guided.
  func batch(from start: Int, upTo most: Int) -> Range<Int> {
    let end = min(start + most, count)
    return start..<((start + 1..<end).first { isNull($0) != isNull(start) } ?? end)
  }

  /// The classes as `--class` takes them, with ranges.
  var classText: String {
    var runs: [ClosedRange<Int>] = []
    for label in classes {
      if let last = runs.last, last.upperBound + 1 == label, label != nullLabel {
        runs[runs.count - 1] = last.lowerBound...label
      } else {
        runs.append(label...label)
      }
    }
    return runs.map { run in
      if run.lowerBound == nullLabel { return "null" }
      return run.count == 1 ? "\(run.lowerBound)" : "\(run.lowerBound)-\(run.upperBound)"
    }.joined(separator: ",")
  }
}
