// How close pictures come to those a model was trained on: the root mean square difference of brightness, 0 … 1, of both
// brought to 32 × 32 by area means, to the nearest of the known pictures and their mirror images.
//
// A model that copies has samples much closer to its training set than pictures it never saw.

import TensorCore

/// Finds the nearest of many known pictures.
public struct NearestPictures<B: Backend> {
  /// The side at which pictures are compared.
  public static var side: Int { 32 }

  /// [2M, D]: the pictures, then their mirror images.
  private let known: [[Float]]
  private let matrix: Tensor<B>
  private let squares: [Double]
  private let count: Int
  private let device: B.Device

  /// The known pictures.
  ///
  /// - Parameters:
  ///   - pictures: planar, −1 … 1, 3·side² numbers each.
  ///   - side: their side.
  public init(_ pictures: [[Float]], side: Int, on device: B.Device) throws {
    let small = try Self.small(pictures, side: side, on: device)
    known = small + small.map(Self.mirrored)
    matrix = try Tensor(
      B.Scalar.array(known.flatMap { $0 }), shape: [known.count, 3 * Self.side * Self.side], on: device)
    squares = known.map { $0.reduce(0) { $0 + Double($1) * Double($1) } }
    count = pictures.count
    self.device = device
  }

  /// The distance of each picture to its nearest known one, and which that is.
  public func nearest(_ pictures: [[Float]], side: Int) throws -> [(distance: Double, index: Int)] {
    let small = try Self.small(pictures, side: side, on: device)
    guard !small.isEmpty else { return [] }
    let queries = try Tensor<B>(
      B.Scalar.array(small.flatMap { $0 }), shape: [1, small.count, small[0].count], on: device)
    let products = try B.linear(queries, weight: matrix, bias: nil).scalars()  // [1, N, 2M]
    return small.indices.map { row in
      // ‖a − b‖² = ‖a‖² + ‖b‖² − 2ab loses digits where a ≈ b, so the best few are compared again exactly.
      let place = row * known.count
      let best = known.indices.map { (squares[$0] - 2 * Double(products[place + $0]), $0) }.sorted { $0.0 < $1.0 }
        .prefix(8)
      let exact = best.map { (Self.distance(small[row], known[$0.1]), $0.1 % count) }
      return exact.min { $0.0 < $1.0 }!
    }
  }

  /// Root mean square of the difference; the numbers span 2, brightness 1.
  private static func distance(_ a: [Float], _ b: [Float]) -> Double {
    let sum = zip(a, b).reduce(0.0) { $0 + (Double($1.0) - Double($1.1)) * (Double($1.0) - Double($1.1)) }
    return (sum / Double(a.count)).squareRoot() / 2
  }

  private static func small(_ pictures: [[Float]], side: Int, on device: B.Device) throws -> [[Float]] {
    try stride(from: 0, to: pictures.count, by: 256).flatMap { start in
      let part = pictures[start..<min(start + 256, pictures.count)]
      let maps = try Tensor<B>(B.Scalar.array(part.flatMap { $0 }), shape: [part.count, 3, side, side], on: device)
      let values = try B.areaResize(maps, height: self.side, width: self.side).scalars().map { Float($0) }
      let each = 3 * self.side * self.side
      return part.indices.map { Array(values[($0 - start) * each..<($0 - start + 1) * each]) }
    }
  }

  private static func mirrored(_ picture: [Float]) -> [Float] {
    var picture = picture
    for row in stride(from: 0, to: picture.count, by: side) { picture[row..<row + side].reverse() }
    return picture
  }
}
