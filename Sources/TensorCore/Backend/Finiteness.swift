// Whether all elements of a tensor are finite: the first sign of a damaged model. The answer is computed where the
// tensor is, so only one value has to be read, and many answers can be read at once.

extension LossOps {
  /// 0·Σx: 0 if all elements of a tensor are finite, NaN otherwise → [1]. It does not wait for the device.
  public static func finiteness(of x: Tensor<Self>) -> Tensor<Self> { sum(x, times: 0) }

  /// Whether all elements of a tensor are finite; waits for the device.
  ///
  /// - Throws: what the engine throws when a transfer fails.
  public static func isFinite(_ x: Tensor<Self>) throws -> Bool { try finiteness(of: x).scalars()[0] == 0 }
}
