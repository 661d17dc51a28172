// How far a result in less precision is from the same in float32.

/// The distance of a result from the float32 one.
public struct Deviation: Codable, Equatable, Sendable {
  /// ‖a − b‖ / ‖b‖ over all numbers.
  public let relative: Double
  /// How many tokens would be others if always the likeliest were taken; nil where the result is not logits.
  public let changed: Int?
  /// Of how many tokens.
  public let tokens: Int?
  /// The largest difference of a color of a pixel, in units of 1/255; nil where the result is not an image.
  public let pixel: Double?

  /// Compares results.
  ///
  /// - Parameters:
  ///   - kind: what the numbers are.
  /// - Throws: `BenchError` when there are not equally many.
  public init(_ result: [Float], from truth: [Float], _ kind: Output) throws {
    guard result.count == truth.count, !truth.isEmpty else {
      throw BenchError("\(result.count) numbers where float32 gives \(truth.count)")
    }
    var (difference, square, largest) = (0.0, 0.0, Float(0))
    for (a, b) in zip(result, truth) {
      difference += Double(a - b) * Double(a - b)
      square += Double(b) * Double(b)
      // A number that is none is as far away as it can be.
      largest = (a - b).isNaN ? .infinity : max(largest, abs(a - b))
    }
    relative = (difference / square).squareRoot()
    switch kind {
    case .logits(let vocabulary):
      guard truth.count.isMultiple(of: vocabulary) else { throw BenchError("rows are not \(vocabulary) long") }
      tokens = truth.count / vocabulary
      changed = (0..<truth.count / vocabulary).count { row in
        let range = row * vocabulary..<(row + 1) * vocabulary
        return Self.likeliest(result[range]) != Self.likeliest(truth[range])
      }
      pixel = nil
    case .image:
      (changed, tokens) = (nil, nil)
      pixel = Double(largest) * 127.5
    }
  }

  private static func likeliest(_ logits: ArraySlice<Float>) -> Int {
    var best = logits.startIndex
    for i in logits.indices where logits[i] > logits[best] { best = i }
    return best - logits.startIndex
  }
}

/// What the numbers of a result are.
public enum Output: Equatable, Sendable {
  /// Rows of logits, one for each token.
  case logits(vocabulary: Int)
  /// Colors from −1 to 1.
  case image
}
