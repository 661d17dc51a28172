// Mean and covariance of features, in double precision, and the Fréchet distance of two normal distributions with them.
//
//   d² = ‖μ₁ − μ₂‖² + tr Σ₁ + tr Σ₂ − 2 tr (Σ₁Σ₂)^½
//
// With Σᵢ = FᵢᵀFᵢ the last trace is the sum of the singular values of F₁F₂ᵀ: their squares are the eigenvalues of
// F₁F₂ᵀF₂F₁ᵀ, and so of Σ₁Σ₂. With eigenvectors F = Λ^½Vᵀ that is the trace of the root of Σ₁^½Σ₂Σ₁^½. Singular values
// are not squared on the way, so null directions cost no digits; and for fewer images than features F is the centered
// features themselves, no covariance matrix is made, and memory is that of the features.

import MVARFiles
import TensorCore

/// A normal distribution of features.
public struct FeatureStatistics: Sendable {
  /// The mean of every feature [D].
  public let mean: [Double]
  /// tr Σ.
  public let trace: Double
  /// F with FᵀF = Σ [r, D].
  let factor: Tensor<CPU<Double>>

  /// Whether there are directions without variance: some that no two images differ in.
  package let isSingular: Bool

  /// The most features for which a covariance matrix is decomposed.
  package static let mostFeatures = 8192
  private static let rowsPerBlock = 1024

  /// The number of features.
  public var count: Int { mean.count }

  /// The statistics of features; covariances are divided by N − 1, as by NumPy's `cov`.
  ///
  /// - Throws: `MeasureError` where there are fewer than two images.
  public init(_ features: FeatureMatrix) throws {
    let (rows, columns) = (features.rows, features.columns)
    guard rows >= 2 else { throw MeasureError("a covariance needs at least two images, and there is \(rows)") }
    let mean = features.mean
    self.mean = mean
    let scale = 1 / Double(rows - 1).squareRoot()
    func block(_ range: Range<Int>) -> Tensor<CPU<Double>> {
      Tensor(unsafeUninitializedShape: [range.count, columns], on: HostDevice()) { target in
        features.values.withUnsafeBufferPointer { values in
          for row in range {
            let (source, place) = (row * columns, (row - range.lowerBound) * columns)
            for column in 0..<columns {
              target[place + column] = (Double(values[source + column]) - mean[column]) * scale
            }
          }
        }
      }
    }
    if rows <= columns {
      isSingular = true
      factor = block(0..<rows)
      trace = factor.withUnsafeBufferPointer { $0.reduce(0) { $0 + $1 * $1 } }
      return
    }
    try Self.check(columns)
    var covariance = Tensor<CPU<Double>>(repeating: 0, shape: [columns, columns], on: HostDevice())
    for start in stride(from: 0, to: rows, by: Self.rowsPerBlock) {
      let part = CPU<Double>.transpose(block(start..<min(start + Self.rowsPerBlock, rows)))  // [D, n]
      covariance = CPU<Double>.combine(
        covariance, times: 1, CPU<Double>.linear(part, weight: part, bias: nil), times: 1)
    }
    (factor, trace) = try Self.factor(covariance.scalars(), columns)
    isSingular = factor.shape[0] < columns
  }

  /// Published statistics.
  ///
  /// - Parameters:
  ///   - mean: μ [D]
  ///   - covariance: Σ [D, D], row-major
  /// - Throws: `MeasureError` where the numbers are not finite, or are no covariance matrix.
  public init(mean: [Double], covariance: [Double]) throws {
    let order = mean.count
    guard order >= 1, covariance.count == order * order else {
      throw MeasureError("a mean of \(order) features needs a covariance matrix of \(order) × \(order)")
    }
    try Self.check(order)
    guard mean.allSatisfy(\.isFinite), covariance.allSatisfy(\.isFinite) else {
      throw MeasureError("the statistics hold numbers that are not finite")
    }
    let largest = covariance.reduce(0) { max($0, abs($1)) }
    for row in 0..<order {
      for column in 0..<row
      where abs(covariance[row * order + column] - covariance[column * order + row]) > 1e-5 * largest {
        throw MeasureError("the covariance matrix is not symmetric, at \([row, column])")
      }
    }
    self.mean = mean
    (factor, trace) = try Self.factor(covariance, order)
    isSingular = factor.shape[0] < order
  }

  private static func check(_ features: Int) throws {
    guard features <= mostFeatures else {
      throw MeasureError("\(features) features are too many for a covariance matrix; at most \(mostFeatures) are read")
    }
  }

  /// Λ^½Vᵀ without the rows whose eigenvalues are rounding of zero, and tr Σ.
  private static func factor(_ covariance: [Double], _ order: Int) throws -> (Tensor<CPU<Double>>, Double) {
    var vectors = covariance
    let values = try LAPACK.symmetricEigen(&vectors, order: order)
    let largest = values.last ?? 0
    guard (values.first ?? 0) >= -1e-6 * largest else {
      throw MeasureError("the covariance matrix has the eigenvalue \(values[0]), and none of a covariance is negative")
    }
    let noise = Double(order) * largest * .ulpOfOne
    var kept: [Double] = []
    for (place, value) in values.enumerated() where value > noise {
      let root = value.squareRoot()
      kept += vectors[place * order..<(place + 1) * order].map { $0 * root }
    }
    let trace = (0..<order).reduce(0) { $0 + covariance[$1 * order + $1] }
    return (try Tensor(kept, shape: [kept.count / order, order], on: HostDevice()), trace)
  }

  /// The Fréchet distance to another distribution, at least 0; FID where the features are the network's.
  ///
  /// - Throws: `MeasureError` where the numbers of features differ.
  public func frechetDistance(to other: FeatureStatistics) throws -> Double {
    guard count == other.count else {
      throw MeasureError("one side has \(count) features an image, and the other \(other.count)")
    }
    let apart = zip(mean, other.mean).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    let (first, second) = (factor.shape[0], other.factor.shape[0])
    var common = 0.0
    if first > 0, second > 0 {
      var product = try CPU<Double>.linear(factor, weight: other.factor, bias: nil).scalars()  // F₁F₂ᵀ
      common = try LAPACK.singularValues(&product, rows: first, columns: second).reduce(0, +)
    }
    return max(apart + trace + other.trace - 2 * common, 0)
  }
}
