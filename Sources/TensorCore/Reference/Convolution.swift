// Two-dimensional convolution as in PyTorch: channels first, weight [out, in, height, width], zero padding around the
// map.
//
// One kernel tap at a time adds a multiple of a whole input row to a whole output row. The padding is never stored: a
// tap visits only the outputs for which it falls on the map. Nothing is unfolded into a matrix.

extension Reference: ConvolutionOps {
  /// y[b, o, i, j] = bias[o] + Σ weight[o, c, u, v]·x[b, c, i·stride + u − top, j·stride + v − left]
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func convolution(
    _ x: Tensor<Reference>, weight: Tensor<Reference>, bias: Tensor<Reference>?, _ parameters: ConvolutionParameters
  ) -> Tensor<Reference> {
    let sizes = ConvolutionSizes(x: x.shape, weight: weight.shape, bias: bias?.shape, parameters)
    let stride = parameters.stride
    let x = x.storage
    let weight = weight.storage
    var y = [Scalar](repeating: 0, count: sizes.outputShape.count)
    for b in 0..<sizes.batch {
      for o in 0..<sizes.outputs {
        let plane = (b * sizes.outputs + o) * sizes.outputHeight
        if let bias {
          for i in plane * sizes.outputWidth..<(plane + sizes.outputHeight) * sizes.outputWidth {
            y[i] = bias.storage[o]
          }
        }
        forEachTap(sizes, parameters) { c, u, v, rows, columns in
          let factor = weight[((o * sizes.inputs + c) * sizes.kernelHeight + u) * sizes.kernelWidth + v]
          for i in rows {
            let source = (b * sizes.inputs + c) * sizes.height + i * stride + u - parameters.top
            let from = source * sizes.width + v - parameters.left
            let to = (plane + i) * sizes.outputWidth
            for j in columns {
              y[to + j] += factor * x[from + j * stride]
            }
          }
        }
      }
    }
    return Tensor(shape: sizes.outputShape, storage: y)  // [B, O, H', W']
  }

  /// dx[b, c, i·stride + u − top, j·stride + v − left] += weight[o, c, u, v]·dy[b, o, i, j],
  /// dWeight[o, c, u, v] = Σ dy[b, o, i, j]·x[b, c, …],  dBias[o] = Σ dy[b, o, i, j]
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dConvolution(
    _ dOutput: Tensor<Reference>, x: Tensor<Reference>, weight: Tensor<Reference>, hasBias: Bool,
    _ parameters: ConvolutionParameters
  ) -> LinearGradients<Reference> {
    let sizes = ConvolutionSizes(x: x.shape, weight: weight.shape, bias: nil, parameters)
    precondition(
      dOutput.shape == sizes.outputShape, "dConvolution: gradient \(dOutput.shape) of an output \(sizes.outputShape)")
    let stride = parameters.stride
    let (xShape, weightShape) = (x.shape, weight.shape)
    let dy = dOutput.storage
    let x = x.storage
    let weight = weight.storage
    var dx = [Scalar](repeating: 0, count: x.count)
    var dWeight = [Scalar](repeating: 0, count: weight.count)
    var dBias = [Scalar](repeating: 0, count: hasBias ? sizes.outputs : 0)
    for b in 0..<sizes.batch {
      for o in 0..<sizes.outputs {
        let plane = (b * sizes.outputs + o) * sizes.outputHeight
        if hasBias {
          for i in plane * sizes.outputWidth..<(plane + sizes.outputHeight) * sizes.outputWidth {
            dBias[o] += dy[i]
          }
        }
        forEachTap(sizes, parameters) { c, u, v, rows, columns in
          let tap = ((o * sizes.inputs + c) * sizes.kernelHeight + u) * sizes.kernelWidth + v
          let factor = weight[tap]
          var dFactor: Scalar = 0
          for i in rows {
            let source = (b * sizes.inputs + c) * sizes.height + i * stride + u - parameters.top
            let from = source * sizes.width + v - parameters.left
            let to = (plane + i) * sizes.outputWidth
            for j in columns {
              dx[from + j * stride] += factor * dy[to + j]
            }
            for j in columns {
              dFactor += dy[to + j] * x[from + j * stride]
            }
          }
          dWeight[tap] += dFactor
        }
      }
    }
    return LinearGradients(
      x: Tensor(shape: xShape, storage: dx),
      weight: Tensor(shape: weightShape, storage: dWeight),
      bias: hasBias ? Tensor(shape: [sizes.outputs], storage: dBias) : nil)
  }

  /// Visits every input channel and position (u, v) of the kernel, with the output rows and columns for which that
  /// position falls on the map.
  private static func forEachTap(
    _ sizes: ConvolutionSizes, _ parameters: ConvolutionParameters,
    _ body: (_ c: Int, _ u: Int, _ v: Int, _ rows: Range<Int>, _ columns: Range<Int>) -> Void
  ) {
    for c in 0..<sizes.inputs {
      for u in 0..<sizes.kernelHeight {
        let rows = outputs(
          of: sizes.outputHeight, offset: u - parameters.top, stride: parameters.stride, side: sizes.height)
        for v in 0..<sizes.kernelWidth {
          let columns = outputs(
            of: sizes.outputWidth, offset: v - parameters.left, stride: parameters.stride, side: sizes.width)
          body(c, u, v, rows, columns)
        }
      }
    }
  }

  /// The outputs i for which 0 ≤ i·stride + offset < side.
  private static func outputs(of count: Int, offset: Int, stride: Int, side: Int) -> Range<Int> {
    let first = offset >= 0 ? 0 : (-offset + stride - 1) / stride
    let end = side > offset ? (side - offset + stride - 1) / stride : 0
    return min(first, count)..<max(min(first, count), min(end, count))
  }
}
