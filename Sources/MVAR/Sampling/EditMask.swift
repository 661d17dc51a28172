// Which tokens of an image are drawn anew when it is edited. A mask of pixels becomes one of tokens at every scale:
//
//     coverage_s(i, j) = share of masked pixels in cell (i, j), the cells being those of area-resize to p_s × p_s
//     redrawn_s(i, j)  = s ≥ K and coverage_s(i, j) ≥ threshold
//
// K scales may be kept everywhere: the image keeps its composition, and its details are drawn anew. No pixel is read or
// written here, and nothing is said about how the tokens of a scale come to be.

import TensorCore

/// The tokens of an image that are redrawn, at every scale.
public struct EditMask: Hashable, Sendable {
  /// The share of a cell that has to be masked for its token to be redrawn, unless asked for: all of it, so that every token
  /// that also stands for a pixel outside the mask is kept. What smaller shares do to those pixels is in the article on
  /// editing.
  public static let defaultThreshold = 1.0

  /// For each scale, whether each of its p_s² tokens is redrawn, row after row.
  public let redrawn: [[Bool]]

  /// The mask of tokens of a mask of pixels.
  ///
  /// - Parameters:
  ///   - pixels: whether each pixel is masked, row after row [side²].
  ///   - side: of the image, at least that of the last scale.
  ///   - scaleList: of the tokenizer.
  ///   - threshold: above 0 and at most 1: the least share of masked pixels in the cell of a redrawn token. Small values
  ///     redraw every token that the mask touches, 1 only those that it covers.
  ///   - keptScales: K, the number of coarse scales that are kept everywhere.
  /// - Throws: `RequestError` when the sizes do not fit, or a number is outside its range.
  public init(
    pixels: [Bool], side: Int, scaleList: ScaleList, threshold: Double = defaultThreshold, keptScales: Int = 0
  ) throws {
    guard side >= scaleList.lastSide, pixels.count == side * side else {
      throw RequestError(
        "a mask of \(pixels.count) pixels was given for images of \(side) × \(side) and scales up to \(scaleList.lastSide)"
      )
    }
    guard threshold > 0, threshold <= 1 else {
      throw RequestError("the threshold of the mask is \(threshold); use a share of a cell above 0 and up to 1")
    }
    guard (0...scaleList.count).contains(keptScales) else {
      throw RequestError("\(keptScales) scales are to be kept, and the list has \(scaleList.count)")
    }
    redrawn = scaleList.sides.enumerated().map { scale, cells in
      guard scale >= keptScales else { return [Bool](repeating: false, count: cells * cells) }
      let ranges = ResamplingTaps.area(from: side, to: cells).places
      return ranges.flatMap { rows in
        ranges.map { columns in
          let masked = rows.reduce(0) { sum, row in sum + columns.count { pixels[row * side + $0] } }
          return Double(masked) >= threshold * Double(rows.count * columns.count)
        }
      }
    }
  }

  /// How many tokens are redrawn, of all scales.
  public var redrawnCount: Int { redrawn.reduce(0) { $0 + $1.count { $0 } } }

  /// What of an image's tokens is kept.
  ///
  /// - Parameter tokens: of each scale, p_s² of them.
  /// - Returns: the same, with nil for those that are redrawn.
  public func kept(of tokens: [[Int]]) -> [[Int?]] {
    precondition(tokens.map(\.count) == redrawn.map(\.count), "the mask and the tokens are of different scales")
    return zip(tokens, redrawn).map { tokens, redrawn in zip(tokens, redrawn).map { $1 ? nil : $0 } }
  }
}
