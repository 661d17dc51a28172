// What an operator costs at the least: the arithmetic of its formula, and every number read once and written once.
//
// Additions, multiplications, divisions, comparisons and calls of functions such as exp count one each; a product of matrices
// counts as usual, two for each pair of factors, whatever algorithm an engine uses. Numbers and indices take four bytes, as
// in single precision. What an engine keeps for the backward is not counted as written.

import TensorCore

/// The cost of an operator, forward and backward.
public struct OperatorCost: Hashable, Sendable {
  /// The cost of going over the operator once.
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
    ///   - read: how many numbers are read.
    ///   - written: how many numbers are written.
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

  /// An operator that does a few operations for each of its numbers.
  ///
  /// - Parameters:
  ///   - count: how many numbers its main tensor has.
  ///   - operations: for each of them, forward and backward.
  ///   - forward: how many numbers the forward reads and writes.
  ///   - backward: how many numbers the backward reads and writes; nil where there is none.
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
