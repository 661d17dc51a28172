// Rows divided by their length. The formulas are documented at the kernels in L2Normalize.cu.

import TensorCore

extension CUDA {
  /// x / max(‖x‖, 1e-12) over the last axis.
  public static func l2Normalize(_ x: Tensor<CUDA>) -> Tensor<CUDA> {
    let y = empty(x.shape, on: x.device)
    x.device.launch(
      .l2Normalize, warpRows(x.shape.rows),
      [y.argument, x.argument, .long(x.shape.rows), .int(x.shape[-1])])
    return y
  }

  /// (dy − y·(y·dy))/max(‖x‖, 1e-12); where the norm is clamped, dy/1e-12.
  public static func dL2Normalize(_ dOutput: Tensor<CUDA>, x: Tensor<CUDA>) -> Tensor<CUDA> {
    precondition(dOutput.shape == x.shape, "dL2Normalize: gradient \(dOutput.shape), x \(x.shape)")
    let dx = empty(x.shape, on: x.device)
    x.device.launch(
      .dL2Normalize, warpRows(x.shape.rows),
      [dx.argument, dOutput.argument, x.argument, .long(x.shape.rows), .int(x.shape[-1])])
    return dx
  }
}
