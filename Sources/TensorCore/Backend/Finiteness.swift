// Whether a tensor is made of finite numbers: what a damaged model shows first. The answer is computed where the tensor
// is, so that only one number has to be read, and whoever has much to ask can read many answers at once.

extension LossOps {
  /// 0·Σx: 0 where all elements of a tensor are finite numbers, NaN otherwise → [1]. It does not wait for the device.
  public static func finiteness(of x: Tensor<Self>) -> Tensor<Self> { sum(x, times: 0) }

  /// Whether all elements of a tensor are finite numbers; waits for the device.
  ///
  /// - Throws: what the engine throws when a transfer fails.
  public static func isFinite(_ x: Tensor<Self>) throws -> Bool { try finiteness(of: x).scalars()[0] == 0 }
}
