// Finds, for each of some images, the most similar one of a set: whether a model generates or only memorizes.
//
//     distance(a, b) = √(mean (a − b)²),  brightness 0 … 1 at 32 × 32 pixels, b also mirrored left to right
//
// ‖a‖² + ‖b‖² − 2a·b for all pairs is one matrix product; pairs that its rounding could have misranked are then
// recomputed in double precision, so the smallest distance is exact. It compares pixels, not what images show.

import TensorCore

/// A set of images to be searched.
public struct NearestImages<B: Backend> {
  /// The most similar image of the set.
  public struct Match: Hashable, Sendable {
    /// Its index.
    public let index: Int
    /// Whether the mirrored image is the similar one.
    public let isMirrored: Bool
    /// Root mean square difference of brightness, 0 … 1.
    public let distance: Double

    package init(index: Int, isMirrored: Bool, distance: Double) {
      self.index = index
      self.isMirrored = isMirrored
      self.distance = distance
    }
  }

  /// Rows and columns at which images are compared.
  public static var comparedSide: Int { 32 }
  private static var length: Int { 3 * comparedSide * comparedSide }

  /// The set followed by the set mirrored, brightness minus ½ [2M, D].
  private let candidates: Tensor<B>
  private let values: [Float]
  private let norms: [Double]
  private let count: Int
  private let side: Int
  private let device: B.Device

  /// A set.
  ///
  /// - Parameters:
  ///   - images: at least one, each [side, side, 3].
  ///   - side: rows and columns of every image.
  ///   - device: where the search runs.
  public init(_ images: [[UInt8]], side: Int, on device: B.Device) throws {
    precondition(!images.isEmpty, "nothing to search")
    let plain = try Self.vectors(images, side: side, on: device)
    values = plain + Self.mirrored(plain)
    count = images.count
    self.side = side
    self.device = device
    norms = Self.squares(values)
    candidates = try Tensor(B.Scalar.array(values), shape: [2 * count, Self.length], on: device)
  }

  /// The most similar image of the set for each of some images; among equal ones the first, unmirrored before mirrored.
  ///
  /// - Parameter images: each [side, side, 3] with the set's side.
  public func matches(for images: [[UInt8]]) throws -> [Match] {
    var found: [Match] = []
    let block = 128
    for start in stride(from: 0, to: images.count, by: block) {
      let part = Array(images[start..<min(start + block, images.count)])
      let queries = try Self.vectors(part, side: side, on: device)  // [N, D]
      let x = try Tensor<B>(B.Scalar.array(queries), shape: [part.count, Self.length], on: device)
      let products = try B.linear(x, weight: candidates, bias: nil).scalars()  // [N, 2M]
      let squares = Self.squares(queries)
      for row in part.indices {
        let scores = products[row * 2 * count..<(row + 1) * 2 * count].map { Double($0) }
        let query = queries[row * Self.length..<(row + 1) * Self.length]
        found.append(match(query, square: squares[row], products: scores))
      }
    }
    return found
  }

  private func match(_ query: ArraySlice<Float>, square: Double, products: [Double]) -> Match {
    // The rounding of a sum of D products of single-precision numbers is at most D·2⁻²⁴·‖a‖‖b‖, in whatever order.
    func slack(_ index: Int) -> Double {
      2 * Double(Self.length) * 0x1p-23 * (square * norms[index]).squareRoot()
    }
    let estimates = products.indices.map { square + norms[$0] - 2 * products[$0] }
    let bound = products.indices.reduce(Double.infinity) { min($0, estimates[$1] + slack($1)) }
    var best: (index: Int, square: Double) = (0, .infinity)
    for index in products.indices where estimates[index] - slack(index) <= bound {
      let exact = squaredDistance(query, to: index)
      if exact < best.square { best = (index, exact) }
    }
    return Match(
      index: best.index % count, isMirrored: best.index >= count,
      distance: (best.square / Double(Self.length)).squareRoot())
  }

  private func squaredDistance(_ query: ArraySlice<Float>, to index: Int) -> Double {
    let start = index * Self.length
    var sum = 0.0
    for (place, value) in query.enumerated() {
      let difference = Double(value) - Double(values[start + place])
      sum += difference * difference
    }
    return sum
  }

  /// Images as rows of values: brightness minus ½, channel by channel [N, D].
  private static func vectors(_ images: [[UInt8]], side: Int, on device: B.Device) throws -> [Float] {
    var result: [Float] = []
    result.reserveCapacity(images.count * length)
    let block = 64
    for start in stride(from: 0, to: images.count, by: block) {
      let part = Array(images[start..<min(start + block, images.count)])
      let images = ImageBatch(labels: part.map { _ in 0 }, pixels: part, side: side).images
      let x = try Tensor<B>(B.Scalar.array(images), shape: [part.count, 3, side, side], on: device)
      let small = B.areaResize(x, height: comparedSide, width: comparedSide)  // [N, 3, 32, 32]
      // −1 … 1 becomes −½ … ½: exact, and nearer to 0 than brightness itself.
      result += try small.scalars().map { Float($0) / 2 }
    }
    return result
  }

  private static func mirrored(_ values: [Float]) -> [Float] {
    var result = values
    for row in stride(from: 0, to: values.count, by: comparedSide) { result[row..<row + comparedSide].reverse() }
    return result
  }

  /// ‖row‖² of every row.
  private static func squares(_ values: [Float]) -> [Double] {
    stride(from: 0, to: values.count, by: length).map { start in
      values[start..<start + length].reduce(0) { $0 + Double($1) * Double($1) }
    }
  }
}
