// The minimum cost of an operator: the arithmetic of its formula, and every value read once and written once.
//
// Additions, multiplications, divisions, comparisons and calls of functions such as exp count as one each; a product of
// matrices counts as usual, two for each pair of factors, whatever algorithm an engine uses. Values and indices take
// four bytes, as in single precision. What an engine keeps for the backward is not counted as written.

import TensorCore

/// The cost of an operator, forward and backward.
public struct OperatorCost: Hashable, Sendable {
  /// The cost of one direction of the operator.
  public struct Pass: Hashable, Sendable {
    /// Floating-point operations.
    public let operations: Double
    /// Bytes read.
    public let bytesRead: Double
    /// Bytes written.
    public let bytesWritten: Double

    /// Bytes read and written.
    public var bytes: Double { bytesRead + bytesWritten }

    /// - Parameters:
    ///   - operations: floating-point operations.
    ///   - read: the number of values read.
    ///   - written: the number of values written.
    public init(operations: Double, read: Int, written: Int) {
      self.operations = operations
      bytesRead = 4 * Double(read)
      bytesWritten = 4 * Double(written)
    }
  }

  /// The forward.
  public let forward: Pass
  /// The backward; nil where there is none.
  public let backward: Pass?
  /// Whether arithmetic decides the time on common devices, rather than memory traffic.
  public let isArithmetic: Bool

  /// The cost of both directions.
  public init(forward: Pass, backward: Pass? = nil, isArithmetic: Bool = false) {
    self.forward = forward
    self.backward = backward
    self.isArithmetic = isArithmetic
  }

  /// An operator that does a few operations per element.
  ///
  /// - Parameters:
  ///   - count: the number of elements in its main tensor.
  ///   - operations: operations per element, forward and backward.
  ///   - forward: the number of values the forward reads and writes.
  ///   - backward: the number of values the backward reads and writes; nil if there is no backward.
  init(
    count: Int, operations: (forward: Double, backward: Double), forward: (read: Int, written: Int),
    backward: (read: Int, written: Int)?
  ) {
    self.init(
      forward: Pass(operations: Double(count) * operations.forward, read: forward.read, written: forward.written),
      backward: backward.map {
        Pass(operations: Double(count) * operations.backward, read: $0.read, written: $0.written)
      })
  }
}
