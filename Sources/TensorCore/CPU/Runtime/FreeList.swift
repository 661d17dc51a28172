// Which parts of a span are free: best fit, and neighboring free ranges are merged.

/// The free parts of 0 ..< count.
package struct FreeList {
  /// In ascending order; no two are adjacent.
  package private(set) var ranges: [Range<Int>]

  /// A list in which all of 0 ..< count is free.
  package init(count: Int) { ranges = count > 0 ? [0..<count] : [] }

  /// Takes the start of the smallest range that is large enough, the lowest one if there are several; nil if none is.
  package mutating func allocate(_ count: Int) -> Range<Int>? {
    var best: Int?
    for (index, range) in ranges.enumerated() where range.count >= count {
      if best.map({ range.count < ranges[$0].count }) ?? true { best = index }
    }
    guard let best else { return nil }
    let range = ranges[best]
    let taken = range.lowerBound..<range.lowerBound + count
    if range.count == count {
      ranges.remove(at: best)
    } else {
      ranges[best] = taken.upperBound..<range.upperBound
    }
    return taken
  }

  /// Frees a range that was taken.
  package mutating func free(_ range: Range<Int>) {
    if range.isEmpty { return }
    var (low, high) = (0, ranges.count)
    while low < high {
      let middle = (low + high) / 2
      if ranges[middle].lowerBound < range.lowerBound { low = middle + 1 } else { high = middle }
    }
    let touchesNext = low < ranges.count && ranges[low].lowerBound == range.upperBound
    let touchesLast = low > 0 && ranges[low - 1].upperBound == range.lowerBound
    switch (touchesLast, touchesNext) {
    case (true, true):
      ranges[low - 1] = ranges[low - 1].lowerBound..<ranges[low].upperBound
      ranges.remove(at: low)
    case (true, false): ranges[low - 1] = ranges[low - 1].lowerBound..<range.upperBound
    case (false, true): ranges[low] = range.lowerBound..<ranges[low].upperBound
    case (false, false): ranges.insert(range, at: low)
    }
  }
}
