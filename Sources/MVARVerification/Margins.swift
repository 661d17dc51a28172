// How close two tokens are to each other, from the golden side only: where rounding decides between them, another token
// is not an error. A margin is printed with the row that it excuses.

import MVAR
import MVARCheckpoints
import MVARComparison
import TensorCore

/// Margins of greedily sampled tokens: the golden logit of the golden token minus that of the token found.
struct LogitMargins {
  /// Two implementations in single precision differ by 2e-5, and two logits are subtracted.
  static let limit = 4e-5

  private let logits: [Double]
  private let width: Int

  /// - Parameter logits: [B, N, V]; nil if they cannot be read.
  init?(_ logits: StoredTensor) {
    guard let width = logits.shape.last, width > 0, let numbers = try? logits.doubles() else { return nil }
    (self.logits, self.width) = (numbers, width)
  }

  /// - Parameter place: the token's place in [B, N].
  func margin(at place: Int, found: Int, golden: Int) -> Margin? {
    guard (0..<width).contains(found), (0..<width).contains(golden), (place + 1) * width <= logits.count else {
      return nil
    }
    let row = place * width
    return Margin(
      abs(logits[row + golden] - logits[row + found]), limit: Self.limit, meaning: "difference of the two logits")
  }
}

/// Margins of codes: the difference of their squared distances to the golden vector that they quantize.
struct CodeMargins<B: Backend> {
  /// See the tolerances in `Fixtures/golden/README.md`.
  static var limit: Double { 1e-4 }

  private let configuration: TokenizerConfiguration
  /// f, and f̂ after each scale, as far as the file contains them: [B, Z, P, P].
  private let features: StoredTensor?
  private let sums: [StoredTensor?]
  private let golden: [Int]
  /// [V · Z]
  private let codes: [Double]

  /// - Parameter codebook: [V, Z], computed from its name as the golden side did.
  init(_ file: GoldenFile, _ configuration: TokenizerConfiguration, codebook: Tensor<B>) throws {
    self.configuration = configuration
    features = file.checkpoint["f"]
    sums = (0..<configuration.scaleList.count).map { file.checkpoint["f_hat.\($0)"] }
    golden = (try? file.checkpoint["indices"]?.integers()) ?? []
    codes = try codebook.scalars().map { Double($0) }
  }

  /// The margin of a code. Codes of later scales follow from those before: theirs is the margin of the first scale of
  /// the image that differs.
  ///
  /// - Parameters:
  ///   - place: the code's place in [B, L].
  ///   - allFound: all codes found, [B, L].
  func margin(at place: Int, found: Int, golden: Int, allFound: [Int]) -> Margin? {
    let length = configuration.scaleList.length
    let first = place / length * length
    guard allFound.count == self.golden.count, place < allFound.count, first + length <= allFound.count,
      let origin = (first...place).first(where: { allFound[$0] != self.golden[$0] })
    else { return nil }
    let scale = scale(of: origin - first)
    if self.scale(of: place - first) == scale { return margin(place, found, golden, scale) }
    let deciding = configuration.scaleList.tokens(of: scale).map { first + $0 }.filter {
      allFound[$0] != self.golden[$0]
    }
    let margins = deciding.map { margin($0, allFound[$0], self.golden[$0], scale) }
    guard !margins.contains(nil) else { return nil }
    return margins.compactMap(\.self).max { $0.distance < $1.distance }
  }

  private func scale(of token: Int) -> Int {
    (0..<configuration.scaleList.count).first { configuration.scaleList.tokens(of: $0).contains(token) } ?? 0
  }

  private func margin(_ place: Int, _ found: Int, _ golden: Int, _ scale: Int) -> Margin? {
    let (length, width) = (configuration.scaleList.length, configuration.codeWidth)
    guard (0..<configuration.vocabulary).contains(found), (0..<configuration.vocabulary).contains(golden),
      let vector = vector(
        scale, image: place / length, place % length - configuration.scaleList.tokens(of: scale).lowerBound)
    else { return nil }
    func distance(_ code: Int) -> Double {
      let entry = normalized(Array(codes[code * width..<(code + 1) * width]))
      return zip(normalized(vector), entry).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    }
    return Margin(
      abs(distance(found) - distance(golden)), limit: Self.limit, meaning: "difference of the squared distances")
  }

  private func normalized(_ vector: [Double]) -> [Double] {
    guard configuration.normalizesCodes else { return vector }
    let norm = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
    return norm > 0 ? vector.map { $0 / norm } : vector
  }

  /// The golden vector of one position: that of area(f − f̂ of the scale before, p) → [Z].
  private func vector(_ scale: Int, image: Int, _ position: Int) -> [Double]? {
    let (side, last, width) = (
      configuration.scaleList.sides[scale], configuration.scaleList.lastSide, configuration.codeWidth
    )
    guard let features = try? features?.doubles(),
      features.count == golden.count / configuration.scaleList.length
        * width * last * last
    else { return nil }
    var rest = features
    if scale > 0 {
      guard let sum = try? sums[scale - 1]?.doubles(), sum.count == rest.count else { return nil }
      rest = zip(rest, sum).map { $0 - $1 }
    }
    let shape: Shape = [golden.count / configuration.scaleList.length, width, last, last]
    guard let map = try? Tensor<Reference<Double>>(rest, shape: shape, on: HostDevice()),
      let small = try? (side == last ? map : Reference.areaResize(map, height: side, width: side)).scalars()
    else { return nil }
    return (0..<width).map { small[(image * width + $0) * side * side + position] }
  }
}
