// Rearranging elements without changing them: swapping two axes, joining along an axis, slicing one. The formulas are
// documented at the kernels in Rearrange.cu.

import TensorCore

extension CUDA {
  /// The last two axes swapped.
  public static func transpose(_ x: Tensor<CUDA>) -> Tensor<CUDA> {
    precondition(x.shape.rank >= 2, "transpose: x \(x.shape)")
    let (rows, columns) = (x.shape[-2], x.shape[-1])
    let matrices = x.shape.dimensions.dropLast(2).reduce(1, *)
    let y = empty(x.shape.replacing(axis: -2, with: columns).replacing(axis: -1, with: rows), on: x.device)
    x.device.launch(
      .transpose,
      LaunchShape(columns.dividedUp(by: 32), min(rows.dividedUp(by: 32), 65_535), min(matrices, 65_535)),
      [y.argument, x.argument, .long(matrices), .int(rows), .int(columns)])
    return y  // [..., S, R]
  }

  /// The parts joined along an axis.
  public static func concatenate(_ parts: [Tensor<CUDA>], axis: Int) -> Tensor<CUDA> {
    let shape = Shape.concatenated(parts.map(\.shape), axis: axis)
    let sizes = AxisSizes(shape, axis: axis)
    let y = empty(shape, on: parts[0].device)
    var start = 0
    for part in parts {
      let block = part.shape[axis] * sizes.inner
      let count = part.shape.count
      y.device.launch(
        .concatenate, elements: count,
        [y.argument, part.argument, .long(block), .long(sizes.length * sizes.inner), .long(start), .long(count)])
      start += block
    }
    return y
  }

  /// Part of an axis, copied.
  public static func slice(_ x: Tensor<CUDA>, axis: Int, _ range: Range<Int>) -> Tensor<CUDA> {
    let sizes = AxisSizes(x.shape, axis: axis, range: range)
    let y = empty(x.shape.replacing(axis: axis, with: range.count), on: x.device)
    let count = y.shape.count
    x.device.launch(
      .slice, elements: count,
      [
        y.argument, x.argument, .long(range.count * sizes.inner), .long(sizes.length * sizes.inner),
        .long(range.lowerBound * sizes.inner), .long(count),
      ])
    return y
  }

  /// dOutput at its position, zeros elsewhere.
  public static func dSlice(_ dOutput: Tensor<CUDA>, shape: Shape, axis: Int, _ range: Range<Int>) -> Tensor<CUDA> {
    let sizes = AxisSizes(shape, axis: axis, range: range)
    precondition(
      dOutput.shape == shape.replacing(axis: axis, with: range.count),
      "dSlice: gradient \(dOutput.shape) of \(range) along axis \(axis) of \(shape)")
    let dx = empty(shape, on: dOutput.device)
    dOutput.device.launch(
      .dSlice, elements: shape.count,
      [
        dx.argument, dOutput.argument, .long(range.count * sizes.inner), .long(sizes.length * sizes.inner),
        .long(range.lowerBound * sizes.inner), .long(shape.count),
      ])
    return dx
  }
}
