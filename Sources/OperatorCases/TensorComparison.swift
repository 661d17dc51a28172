// Comparing a tensor with the expected one: where the two are farthest apart, and what fraction of the tolerance that
// is.
//
// NaN never passes, on either side, and an infinity passes only against the same infinity.

import TensorCore

/// The outcome of comparing a tensor with the expected one.
public struct TensorComparison: Sendable, CustomStringConvertible {
  /// The tensor and its case.
  public let name: String
  /// The coordinates of the element that is farthest off; empty if there is none.
  public let coordinates: [Int]
  /// The value there.
  public let found: Double
  /// The expected value there.
  public let expected: Double
  /// |found − expected|; infinite where one of them is not finite and they are not equal.
  public let absolute: Double
  /// The distance relative to the size of the expected tensor.
  public let relative: Double
  /// The distance relative to the tolerance; above 1 the comparison fails.
  public let share: Double
  /// The tolerance, and why.
  public let bar: Bar
  /// A shape mismatch, in words; nil if the shapes are the same.
  public let problem: String?
  /// The elements that are not finite on one side, or differ on both; nil if there are none.
  public let notFinite: NotFinite?
  /// Whether every value found is zero.
  public let foundIsZero: Bool

  /// Elements that are not finite.
  public struct NotFinite: Hashable, Sendable, CustomStringConvertible {
    /// The side that the first of them is on.
    public enum Side: String, Hashable, Sendable {
      /// In the tensor found.
      case found
      /// In the expected tensor.
      case expected
      /// In both.
      case both
    }
    /// The side that the first of them is on.
    public let side: Side
    /// The number of such elements.
    public let count: Int
    /// The number of elements in the tensor.
    public let total: Int

    /// In words.
    public var description: String {
      let place =
        switch side {
        case .found: "the number found is"
        case .expected: "the expected number is"
        case .both: "both are"
        }
      return "\(place) not finite, \(count) of \(total) not finite"
    }
  }

  /// Whether all values are within the tolerance.
  public var passes: Bool { share <= 1 }

  /// Compares all values.
  ///
  /// - Parameter size: what the relative error is relative to; by default the largest expected magnitude.
  public init(_ name: String, found: Values, expected: Values, size: Double? = nil, bar: Bar) {
    self.name = name
    self.bar = bar
    guard found.shape == expected.shape else {
      (coordinates, self.found, self.expected) = ([], .nan, .nan)
      (absolute, relative, share) = (.infinity, .infinity, .infinity)
      problem = "shape \(found.shape), expected \(expected.shape)"
      (notFinite, foundIsZero) = (nil, false)
      return
    }
    let (ours, right) = (found.numbers, expected.numbers)
    let broken = right.indices.filter { !(ours[$0] == right[$0] || (ours[$0] - right[$0]).isFinite) }
    var worst = broken.first ?? 0
    var distance = broken.isEmpty ? 0 : Double.infinity
    if broken.isEmpty {
      var largest = 0.0
      for place in right.indices where ours[place] != right[place] {
        let share = abs(ours[place] - right[place]) / bar.limit(at: right[place])
        if share > largest { (worst, distance, largest) = (place, abs(ours[place] - right[place]), share) }
      }
    }
    coordinates = right.isEmpty ? [] : Self.coordinates(of: worst, in: found.shape)
    (self.found, self.expected) = right.isEmpty ? (0, 0) : (ours[worst], right[worst])
    absolute = distance
    relative = distance == 0 ? 0 : distance / max(size ?? expected.largest, Double(Float.leastNormalMagnitude))
    share = distance == 0 ? 0 : distance / bar.limit(at: self.expected)
    problem = nil
    notFinite = broken.first.map {
      let side: NotFinite.Side = ours[$0].isFinite ? .expected : right[$0].isFinite ? .found : .both
      return NotFinite(side: side, count: broken.count, total: right.count)
    }
    foundIsZero = ours.allSatisfy { $0 == 0 }
  }

  /// A sentence that says where to look.
  public var description: String {
    if let problem { return "\(name): \(problem)" }
    return "\(name): worst at \(coordinates): \(found), expected \(expected); absolute \(absolute), "
      + "relative \(relative), \(share) of the bar (\(bar))" + (notFinite.map { "; \($0)" } ?? "")
  }

  /// `[1, 2]`: an element's coordinates in a tensor from its position in memory.
  private static func coordinates(of place: Int, in shape: Shape) -> [Int] {
    var (rest, coordinates) = (place, [Int](repeating: 0, count: shape.rank))
    for axis in (0..<shape.rank).reversed() {
      coordinates[axis] = rest % shape[axis]
      rest /= shape[axis]
    }
    return coordinates
  }
}
