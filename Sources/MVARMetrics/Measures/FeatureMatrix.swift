// Features of a set of images: one row for each image.

import MVARCheckpoints
import MVARFiles

/// A matrix of features.
public struct FeatureMatrix: Equatable, Sendable {
  /// How many images there are.
  public let rows: Int
  /// How many features an image has.
  public let columns: Int
  /// Row after row.
  public private(set) var values: [Float]

  /// Features from their values.
  ///
  /// - Precondition: there are `rows·columns` values.
  public init(_ values: [Float], rows: Int, columns: Int) {
    precondition(values.count == rows * columns, "\(values.count) values for \(rows) × \(columns) features")
    (self.rows, self.columns, self.values) = (rows, columns, values)
  }

  /// Features from an array in a file.
  ///
  /// - Parameters:
  ///   - stored: the array [N, D].
  ///   - name: the array's name, for errors.
  /// - Throws: `FileError`, without a path, where it is no matrix with at least one row and one column, or holds numbers
  ///   that are not finite.
  public init(_ stored: StoredTensor, name: String) throws {
    guard stored.shape.count == 2, stored.shape.allSatisfy({ $0 >= 1 }) else {
      throw FileError(
        nil, "the array \(printable(name, limit: 80)) has shape \(stored.shape), and features are [images, features]")
    }
    guard stored.scalarType.isFloatingPoint else {
      throw FileError(
        nil,
        "the array \(printable(name, limit: 80)) holds \(stored.scalarType), and features are floating-point numbers")
    }
    if let wrong = try stored.nonFinite() {
      throw FileError(nil, "the array \(printable(name, limit: 80)) holds \(wrong.value) at \(wrong.place)")
    }
    let values = try stored.floats()
    guard values.allSatisfy(\.isFinite) else {
      throw FileError(nil, "the array \(printable(name, limit: 80)) holds numbers that float32 has not")
    }
    self.init(values, rows: stored.shape[0], columns: stored.shape[1])
  }

  /// The features of one image.
  public func row(_ index: Int) -> ArraySlice<Float> { values[index * columns..<(index + 1) * columns] }

  /// The mean of every feature.
  var mean: [Double] {
    var sums = [Double](repeating: 0, count: columns)
    for row in 0..<rows {
      let start = row * columns
      for column in 0..<columns { sums[column] += Double(values[start + column]) }
    }
    return sums.map { $0 / Double(max(rows, 1)) }
  }
}

/// What a network says about a set of images; what is nil was not computed or is not in the file.
public struct ImageFeatures: Sendable {
  /// Pooled features [N, 2048], or those of another network.
  public var pooled: FeatureMatrix?
  /// Spatial features [N, 2023], channels last as in TensorFlow: 17 × 17 × 7.
  public var spatial: FeatureMatrix?
  /// Logits without a bias [N, 1008].
  public var logits: FeatureMatrix?

  /// Some features.
  public init(pooled: FeatureMatrix? = nil, spatial: FeatureMatrix? = nil, logits: FeatureMatrix? = nil) {
    (self.pooled, self.spatial, self.logits) = (pooled, spatial, logits)
  }
}

/// Why a measure cannot be computed.
public struct MeasureError: Error, Equatable, CustomStringConvertible {
  /// One sentence without a full stop.
  public let description: String

  /// An error with its sentence.
  public init(_ description: String) { self.description = description }
}
