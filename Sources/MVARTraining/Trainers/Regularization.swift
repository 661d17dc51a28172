// What is dropped at random in training: labels (so that the null class is learned, for guidance) and whole branches of
// blocks (DropPath). Every decision is a pure function of (seed, number of the sample, what is decided).

import MVAR
import TensorCore

/// Label dropping and drop-path.
public struct Regularization: Hashable, Sendable {
  /// How often a label becomes the null class; 0.1 in the published recipe.
  public var labelDrop: Double
  /// How often the branches of the last block are dropped; the rate rises linearly from 0 at the first block, so that a
  /// single block is never dropped.
  public var dropPath: Double
  /// Label smoothing, 0 ..< 1.
  public var labelSmoothing: Double

  /// The published label dropping and nothing else, unless given.
  public init(labelDrop: Double = 0.1, dropPath: Double = 0, labelSmoothing: Double = 0) {
    self.labelDrop = labelDrop
    self.dropPath = dropPath
    self.labelSmoothing = labelSmoothing
  }

  /// The published drop-path for a depth: 0.1·d/24.
  public static func publishedDropPath(depth: Int) -> Double { 0.1 * Double(depth) / 24 }

  /// Positions in a sample's stream: below 16 for labels, 16 to 63 for augmentation, from 64 for drop-path.
  private static let firstBranch = 64

  /// The labels of a batch with some replaced by the null class.
  package func dropped(_ labels: [Int], nullClass: Int, _ streams: [RandomStream]) -> [Int] {
    zip(labels, streams).map { label, stream in
      labelDrop > 0 && stream.uniform(0, purpose: .regularization) < labelDrop ? nullClass : label
    }
  }

  /// The factors of every sample of a batch for the two branches of each block; nil where nothing is dropped.
  ///
  /// - Parameter segment: the number of the segment: each has its own decisions.
  package func keep<Scalar: BinaryFloatingPoint>(
    depth: Int, segment: Int, _ streams: [RandomStream]
  ) -> [(attention: [Scalar], feedForward: [Scalar])?] {
    (0..<depth).map { block in
      let rate = depth > 1 ? dropPath * Double(block) / Double(depth - 1) : 0
      guard rate > 0 else { return nil }
      func factors(_ branch: Int) -> [Scalar] {
        let place = Self.firstBranch + 2 * (segment * depth + block) + branch
        return streams.map { $0.uniform(place, purpose: .regularization) < rate ? 0 : Scalar(1 / (1 - rate)) }
      }
      return (factors(0), factors(1))
    }
  }
}
