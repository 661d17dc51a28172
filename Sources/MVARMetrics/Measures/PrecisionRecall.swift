// Precision and recall of a set of samples: the share of samples that lie among the references, and the other way round.
//
// A set is the union of balls around its images, each with the distance to its k-th nearest neighbor as radius. A ball
// contains its border. Precision is the share of samples in a ball of the references, recall that of references in a ball
// of the samples.
//
// Every decision is that of distances in double precision. Almost all are clear from products in single precision, whose
// error is bounded; the rest are computed as Σ(a − b)². Distances are made in blocks: memory grows with the number of
// images, never with its square.

import Dispatch
import Foundation
import TensorCore

/// Precision and recall.
public struct PrecisionRecall: Equatable, Sendable {
  /// The share of samples that lie in a ball of the references.
  public let precision: Double
  /// The share of references that lie in a ball of the samples.
  public let recall: Double

  /// The neighbor whose distance is a radius, as in the authors' evaluation.
  public static let usualNeighbor = 3

  /// Precision and recall of samples.
  ///
  /// - Parameters:
  ///   - samples: features [N, D]
  ///   - references: features [M, D]
  ///   - neighbor: k; there must be more than k images on each side.
  ///   - onProgress: receives the share of the work that is done.
  /// - Throws: `MeasureError` where there are too few images, or the numbers of features differ; what `onProgress` throws.
  public init(
    samples: FeatureMatrix, references: FeatureMatrix, neighbor: Int = usualNeighbor,
    onProgress: (Double) throws -> Void = { _ in }
  ) throws {
    guard samples.columns == references.columns else {
      throw MeasureError(
        "the samples have \(samples.columns) features an image, and the references \(references.columns)")
    }
    guard neighbor >= 1, min(samples.rows, references.rows) > neighbor else {
      throw MeasureError(
        "precision and recall need more than \(neighbor) images on each side, and there are \(samples.rows) and "
          + "\(references.rows)")
    }
    let center = references.mean
    let (ours, theirs) = (PointSet(samples, center: center), PointSet(references, center: center))
    let (n, m) = (Double(samples.rows), Double(references.rows))
    let total = n * n + m * m + 2 * n * m
    var done = 0.0
    func count(_ work: Double) throws {
      done += work
      try onProgress(min(done / total, 1))
    }
    let radii = try theirs.squaredRadii(neighbor, count)
    let isPrecise = try ours.areCovered(by: theirs, radii, count)
    let ownRadii = try ours.squaredRadii(neighbor, count)
    let isRecalled = try theirs.areCovered(by: ours, ownRadii, count)
    precision = Double(isPrecise.count { $0 }) / n
    recall = Double(isRecalled.count { $0 }) / m
  }
}

/// Points, and the products by which their distances are estimated.
private struct PointSet {
  let features: FeatureMatrix
  /// The features minus a common center, in single precision: smaller numbers, and so smaller errors.
  let shifted: Tensor<CPU<Float>>
  /// ‖a‖² of the shifted points, in double precision.
  let squares: [Double]
  /// The largest error of an estimated squared distance, relative to ‖a‖² + ‖b‖², and beyond that.
  let relative: Double
  let absolute: Double

  private static let rows = 1024
  private static let columns = 4096
  /// Candidates for the nearest neighbors that are kept for each point.
  private static let candidates = 32

  init(_ features: FeatureMatrix, center: [Double]) {
    self.features = features
    let (rows, columns) = (features.rows, features.columns)
    var squares = [Double](repeating: 0, count: rows)
    shifted = Tensor(unsafeUninitializedShape: [rows, columns], on: HostDevice()) { target in
      features.values.withUnsafeBufferPointer { values in
        for row in 0..<rows {
          var square = 0.0
          for column in 0..<columns {
            let value = Float(Double(values[row * columns + column]) - center[column])
            target[row * columns + column] = value
            square += Double(value) * Double(value)
          }
          squares[row] = square
        }
      }
    }
    self.squares = squares
    // Each of D products and sums is rounded, and so is each coordinate; numbers may fall below the smallest normal one.
    relative = Double(columns + 8) * 0x1p-23
    absolute = Double(columns + 8) * 0x1p-123
  }

  /// Σ(a − b)² in double precision, the same for (a, b) and (b, a).
  func squaredDistance(_ index: Int, _ other: PointSet, _ otherIndex: Int) -> Double {
    let columns = features.columns
    return features.values.withUnsafeBufferPointer { a in
      other.features.values.withUnsafeBufferPointer { b in
        var sum = 0.0
        let (first, second) = (index * columns, otherIndex * columns)
        for column in 0..<columns {
          let difference = Double(a[first + column]) - Double(b[second + column])
          sum += difference * difference
        }
        return sum
      }
    }
  }

  /// Calls `body` for each row of a block of products with another set, several at a time: the row's index, the columns
  /// that are in the block, and ‖a‖² + ‖b‖² − 2a·b of each of them.
  private func forEachRow(
    _ range: Range<Int>, with other: PointSet, _ columns: Range<Int>,
    _ body: (_ row: Int, _ columns: Range<Int>, _ estimates: UnsafeMutablePointer<Double>) -> Void
  ) {
    let products = CPU<Float>.linear(shifted.rows(range), weight: other.shifted.rows(columns), bias: nil)
    products.withUnsafeBufferPointer { products in
      nonisolated(unsafe) let products = products
      withoutActuallyEscaping(body) { body in
        nonisolated(unsafe) let body = body
        DispatchQueue.concurrentPerform(iterations: range.count) { place in
          let row = range.lowerBound + place
          withUnsafeTemporaryAllocation(of: Double.self, capacity: columns.count) { estimates in
            let (square, start) = (squares[row], place * columns.count)
            for column in 0..<columns.count {
              let product = Double(products[start + column])
              // One that is too large for single precision says nothing.
              estimates[column] =
                product.isFinite ? square + other.squares[columns.lowerBound + column] - 2 * product : .nan
            }
            body(row, columns, estimates.baseAddress.unsafelyUnwrapped)
          }
        }
      }
    }
  }

  /// The largest error of the estimate for two points.
  @inline(__always)
  private func error(_ row: Int, _ other: PointSet, _ column: Int) -> Double {
    relative * (squares[row] + other.squares[column]) + absolute
  }

  /// The squared distance from each point to its k-th nearest neighbor, not counting itself.
  func squaredRadii(_ neighbor: Int, _ count: (Double) throws -> Void) throws -> [Double] {
    let size = min(max(Self.candidates, neighbor + 2), features.rows)
    var radii: [Double] = []
    for start in stride(from: 0, to: features.rows, by: Self.rows) {
      let range = start..<min(start + Self.rows, features.rows)
      var nearest = [Candidates](repeating: Candidates(size), count: range.count)
      for first in stride(from: 0, to: features.rows, by: Self.columns) {
        let columns = first..<min(first + Self.columns, features.rows)
        nearest.withUnsafeMutableBufferPointer { nearest in
          nonisolated(unsafe) let nearest = nearest
          forEachRow(range, with: self, columns) { row, columns, estimates in
            for (place, column) in columns.enumerated() {
              // What is certainly no nearer than the others is left out; the bound is that of the smallest estimate
              // that the distance can have.
              nearest[row - range.lowerBound].add(estimates[place] - error(row, self, column), column)
            }
          }
        }
        try count(Double(range.count * columns.count))
      }
      var part = [Double](repeating: 0, count: range.count)
      part.withUnsafeMutableBufferPointer { part in
        nonisolated(unsafe) let part = part
        let nearest = nearest
        DispatchQueue.concurrentPerform(iterations: range.count) { place in
          part[place] = radius(range.lowerBound + place, nearest[place], neighbor)
        }
      }
      radii += part
    }
    return radii
  }

  /// The squared radius of a point: the (k + 1)-th smallest distance, that to itself included.
  private func radius(_ index: Int, _ candidates: Candidates, _ neighbor: Int) -> Double {
    let exact = candidates.places.map { squaredDistance(index, self, $0) }.sorted()
    // Every point that is no candidate is at least as far as the last lower bound.
    if candidates.places.count == features.rows || exact[neighbor] <= candidates.largest { return exact[neighbor] }
    return (0..<features.rows).map { squaredDistance(index, self, $0) }.sorted()[neighbor]
  }

  /// Whether each point lies in one of the balls of another set.
  func areCovered(by other: PointSet, _ radii: [Double], _ count: (Double) throws -> Void) throws -> [Bool] {
    var covered = [Bool](repeating: false, count: features.rows)
    for start in stride(from: 0, to: features.rows, by: Self.rows) {
      let range = start..<min(start + Self.rows, features.rows)
      for first in stride(from: 0, to: other.features.rows, by: Self.columns) {
        let columns = first..<min(first + Self.columns, other.features.rows)
        covered.withUnsafeMutableBufferPointer { covered in
          nonisolated(unsafe) let covered = covered
          forEachRow(range, with: other, columns) { row, columns, estimates in
            guard !covered[row] else { return }
            for (place, column) in columns.enumerated() {
              let (estimate, radius, error) = (estimates[place], radii[column], error(row, other, column))
              if estimate > radius + error { continue }
              // A NaN, from numbers too large for products in single precision, is decided here too.
              if estimate < radius - error || squaredDistance(row, other, column) <= radius {
                covered[row] = true
                break
              }
            }
          }
        }
        try count(Double(range.count * columns.count))
      }
    }
    return covered
  }
}

/// The points with the smallest lower bounds of their distances.
private struct Candidates {
  private(set) var places: [Int] = []
  private var bounds: [Double] = []
  private let size: Int

  init(_ size: Int) {
    self.size = size
    places.reserveCapacity(size + 1)
    bounds.reserveCapacity(size + 1)
  }

  /// No point that is missing has a smaller bound.
  var largest: Double { bounds.last ?? .infinity }

  @inline(__always)
  mutating func add(_ bound: Double, _ place: Int) {
    // A NaN says nothing, so it is the smallest bound.
    let bound = bound.isNaN ? -.infinity : bound
    if bounds.count == size, bound >= bounds[size - 1] { return }
    var target = bounds.count
    while target > 0, bounds[target - 1] > bound { target -= 1 }
    bounds.insert(bound, at: target)
    places.insert(place, at: target)
    if bounds.count > size {
      bounds.removeLast()
      places.removeLast()
    }
  }
}
