// The comparator: it decides what passes, and finds the element that is worst.
//
// What is not finite comes first. NaN never passes, on either side; an infinity passes only against the same infinity.
// Every limit comes from the expected side, never from the values that are judged. A limit of zero requires equality.

/// Compares what was found with what was expected.
public enum Comparator {
  /// Compares two tensors element by element.
  ///
  /// - Parameters:
  ///   - name: the name of the row.
  ///   - bar: the tolerance, computed from the expected side only.
  ///   - size: what the relative error is relative to; the largest expected magnitude if nil.
  public static func values(
    _ name: String, found: ComparedValues, expected: ComparedValues, bar: Bar, size: Double? = nil
  ) -> Comparison {
    guard found.shape == expected.shape else {
      return .failed(name, "shape \(found.shape), expected \(expected.shape)", bar: bar)
    }
    guard !expected.numbers.isEmpty else { return Comparison(name, .passed, bar: bar, cause: "empty") }
    guard bar.absolute >= 0, bar.relative >= 0, bar.absolute.isFinite, bar.relative.isFinite else {
      return .notJudged(name, "the tolerance \(bar.limit) is no limit")
    }
    var worst = Worst()
    var (exceeding, notFinite, isZero) = (0, 0, true)
    for (place, (ours, right)) in zip(found.numbers, expected.numbers).enumerated() {
      if ours != 0 { isZero = false }
      // Equal infinities agree; two NaN do not.
      if ours == right {
        worst.take(place, distance: 0, share: 0)
        continue
      }
      guard ours.isFinite, right.isFinite else {
        (exceeding, notFinite) = (exceeding + 1, notFinite + 1)
        worst.take(place, distance: .infinity, share: .infinity, isFinite: false)
        continue
      }
      let distance = abs(ours - right)
      let limit = bar.limit(at: right)
      if !(distance <= limit) { exceeding += 1 }
      worst.take(place, distance: distance, share: distance / limit)
    }
    let (ours, right) = (found.numbers[worst.place], expected.numbers[worst.place])
    let size = size ?? expected.largest
    return Comparison(
      name, exceeding == 0 ? .passed : .failed, coordinates: coordinates(of: worst.place, in: expected.shape),
      found: ours, expected: right, absolute: worst.distance,
      relative: size > 0 ? worst.distance / size : worst.distance == 0 ? 0 : .infinity, share: worst.share,
      exceeding: exceeding, count: expected.numbers.count,
      notFinite: notFinite == 0
        ? nil
        : .init(side: ours.isFinite ? .expected : right.isFinite ? .found : .both, count: notFinite),
      bar: bar, remarks: isZero && exceeding > 0 ? ["every value found is zero"] : [])
  }

  /// The coordinates of an element from its position in row-major order.
  public static func coordinates(of place: Int, in shape: [Int]) -> [Int] {
    var (rest, coordinates) = (place, [Int](repeating: 0, count: shape.count))
    for axis in shape.indices.reversed() where shape[axis] > 0 {
      coordinates[axis] = rest % shape[axis]
      rest /= shape[axis]
    }
    return coordinates
  }
}

/// The element that uses the largest share of its limit; the first one that is not finite comes before all others.
private struct Worst {
  private(set) var place = 0
  private(set) var distance = 0.0
  private(set) var share = -1.0
  private var isFinite = true

  mutating func take(_ place: Int, distance: Double, share: Double, isFinite: Bool = true) {
    guard self.isFinite else { return }
    let isWorse = !isFinite || share > self.share || (share == self.share && distance > self.distance)
    if isWorse { (self.place, self.distance, self.share, self.isFinite) = (place, distance, share, isFinite) }
  }
}
