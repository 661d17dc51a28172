// Rectification and pooling. The formulas are documented at the kernels in Pooling.cu.

import TensorCore

extension CUDA: PoolingOps {
  /// max(x, 0).
  public static func relu(_ x: consuming Tensor<CUDA>) -> Tensor<CUDA> {
    reusing(x) { x, result in
      let count = x.shape.count
      x.device.launch(.relu, elements: count, [result.argument, x.argument, .long(count)])
    }
  }

  /// The largest value of each window.
  public static func maxPool(_ x: Tensor<CUDA>, _ window: PoolingWindow) -> Tensor<CUDA> {
    pool(.maxPool, x, window)
  }

  /// The mean of each window.
  public static func averagePool(_ x: Tensor<CUDA>, _ window: PoolingWindow) -> Tensor<CUDA> {
    pool(.averagePool, x, window)
  }

  private static func pool(_ kernel: Kernel, _ x: Tensor<CUDA>, _ window: PoolingWindow) -> Tensor<CUDA> {
    let y = empty(window.outputShape(kernel.name, x.shape), on: x.device)
    let count = y.shape.count
    x.device.launch(
      kernel, elements: count,
      [
        y.argument, x.argument, .int(x.shape[2]), .int(x.shape[3]), .int(y.shape[2]), .int(y.shape[3]),
        .int(window.side), .int(window.stride), .int(window.padding), .long(count),
      ])
    return y
  }
}
