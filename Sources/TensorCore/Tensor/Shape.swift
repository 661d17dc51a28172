// The side lengths of a tensor, slowest-varying first. Tensors are always contiguous and row-major, so a shape alone
// determines where an element lies: there are no strides.

/// The side lengths of a tensor, slowest-varying axis first; an empty shape is a single number.
public struct Shape: Hashable, Sendable, ExpressibleByArrayLiteral, CustomStringConvertible {
  /// The side lengths.
  public let dimensions: [Int]
  /// The number of elements: the product of the side lengths.
  public let count: Int

  /// A shape with the given side lengths.
  ///
  /// - Precondition: no side is negative, and the product fits in an `Int`.
  public init(_ dimensions: [Int]) {
    var count = 1
    for side in dimensions {
      precondition(side >= 0, "a side of shape \(dimensions) is negative")
      let (product, overflow) = count.multipliedReportingOverflow(by: side)
      precondition(!overflow, "shape \(dimensions) has more elements than an Int can count")
      count = product
    }
    self.dimensions = dimensions
    self.count = count
  }

  /// A shape written as an array: `[2, 3, 4]`.
  public init(arrayLiteral elements: Int...) {
    self.init(elements)
  }

  /// The number of axes.
  public var rank: Int { dimensions.count }

  /// The length of an axis; negative axes count from the last, −1.
  public subscript(axis: Int) -> Int {
    dimensions[axis < 0 ? dimensions.count + axis : axis]
  }

  /// The product of all axes but the last: the number of rows of the tensor when read as a matrix.
  public var rows: Int { dimensions.dropLast().reduce(1, *) }

  /// The same shape with one axis of another length.
  public func replacing(axis: Int, with length: Int) -> Shape {
    var sides = dimensions
    sides[axis < 0 ? sides.count + axis : axis] = length
    return Shape(sides)
  }

  /// The shape of tensors joined along an axis; stops the program if they differ in another axis.
  package static func concatenated(_ shapes: [Shape], axis: Int) -> Shape {
    precondition(!shapes.isEmpty, "concatenate: no tensors")
    let length = shapes.reduce(0) { $0 + $1[axis] }
    let joined = shapes[0].replacing(axis: axis, with: length)
    precondition(
      shapes.allSatisfy { $0.rank == joined.rank && $0.replacing(axis: axis, with: length) == joined },
      "concatenate: \(shapes) along axis \(axis)")
    return joined
  }

  /// `[2, 3, 4]`
  public var description: String { "\(dimensions)" }
}
