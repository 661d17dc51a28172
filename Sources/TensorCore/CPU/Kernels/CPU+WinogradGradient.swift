// Gradients of the 3 × 3 convolution with stride 1 and padding 1, by the tiles of `CPU+Winograd.swift`.
//
//     dX = (weight with O and I exchanged, rotated by 180°) ∗ dY        dW = Gᵀ[Σ (A dY Aᵀ) ∘ (Bᵀ d B)]G
//
// dW is the transposed algorithm of the forward: the same points, a sum over all tiles of all images instead of over
// channels, again a quarter of the multiplications. Each of a fixed number of runs of tiles has its own sums, added in
// order. Both gradients together are 1.8 to 3.6 times as fast as with patches for 32 to 128 channels on maps of 16 × 16
// to 64 × 64, 1.6 times at 8 × 8.

/// Rows and columns of outputs in a tile; positions in a transformed tile; rows of inputs.
private let (side, places, reach) = (4, 36, 6)

extension CPU {
  /// Whether tiles pay off in the backward: images may be joined there, so they do for smaller maps than in the
  /// forward, but the sums of dW take 144 bytes per pair of channels and run.
  static func prefersWinogradGradient(_ sizes: ConvolutionSizes, _ parameters: ConvolutionParameters) -> Bool {
    sizes.kernelHeight == 3 && sizes.kernelWidth == 3 && parameters == .padded(1)
      && sizes.inputs >= 32 && sizes.outputs >= 32 && sizes.inputs * sizes.outputs <= 256 * 256
      && min(sizes.height, sizes.width) >= 8
  }

  /// dX of a 3 × 3 convolution with stride 1 and padding 1.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  package static func winogradInputGradient(_ dOutput: Tensor<CPU>, weight: Tensor<CPU>) -> Tensor<CPU> {
    let (outputs, inputs) = (weight.shape[0], weight.shape[1])
    let turned = make([inputs, outputs, 3, 3]) { turned in
      withPointers(weight) { weight in
        for output in 0..<outputs {
          for input in 0..<inputs {
            let (source, target) = (weight + (output * inputs + input) * 9, turned + (input * outputs + output) * 9)
            for place in 0..<9 { target[8 - place] = source[place] }
          }
        }
      }
    }
    let sizes = ConvolutionSizes(x: dOutput.shape, weight: turned.shape, bias: nil, .padded(1))
    return winogradConvolution(dOutput, weight: turned, bias: nil, sizes, joiningImages: true)
  }

  /// dWeight of a 3 × 3 convolution with stride 1 and padding 1.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  package static func winogradWeightGradient(_ dOutput: Tensor<CPU>, x: Tensor<CPU>, weight: Shape) -> Tensor<CPU> {
    let sizes = ConvolutionSizes(x: x.shape, weight: weight, bias: nil, .padded(1))
    let (inputs, outputs, map) = (sizes.inputs, sizes.outputs, sizes.height * sizes.width)
    let cut = WinogradCut(sizes, joiningImages: true)
    // Eight runs, fewer where their sums would take more than 64 MB.
    let plane = inputs * outputs + 16
    let sumCount = places * plane
    let runs = min(cut.count, max(2, min(8, (1 << 24) / sumCount)))
    return make(weight) { dWeight in
      withPointers(dOutput, x) { dY, x in
        withScratch(runs * sumCount) { (sums: UnsafeMutablePointer<Scalar>) in
          parallel(runs) { run in
            let sums = sums + run * sumCount
            let pieces = run * cut.count / runs..<(run + 1) * cut.count / runs
            for piece in pieces {
              let (images, rows) = cut[piece]
              let tilesPerImage = rows.count * cut.tileColumns
              let tiles = images.count * tilesPerImage
              let (inputPlane, outputPlane) = (inputs * tiles + 16, outputs * tiles + 16)
              withScratch(places * (inputPlane + outputPlane)) { (d: UnsafeMutablePointer<Scalar>) in
                let y = d + places * inputPlane
                for image in images {
                  let place = (image - images.lowerBound) * tilesPerImage
                  transformInput(
                    x + image * inputs * map, sizes, rows, cut.tileColumns, d + place, inputPlane, stride: tiles)
                  transformOutputGradient(
                    dY + image * outputs * map, sizes, rows, cut.tileColumns, y + place, outputPlane, stride: tiles)
                }
                for place in 0..<places {
                  MatrixProduct.part(
                    transposeA: false, transposeB: true, m: outputs, n: inputs, k: tiles, alpha: 1,
                    y + place * outputPlane, lda: tiles, d + place * inputPlane, ldb: tiles,
                    beta: piece == pieces.lowerBound ? 0 : 1, sums + place * plane, ldc: inputs)
                }
              }
            }
          }
          parallel(outputs) { output in
            transformWeightGradient(
              sums + output * inputs, plane, runs: runs, stride: sumCount, inputs: inputs, dWeight + output * inputs * 9
            )
          }
        }
      }
    }
  }
}

// MARK: - Transforms of eight tiles at once

/// A y: the transpose of the matrix that gathers a forward tile.
@inline(__always)
private func evaluated<S: TensorScalar>(_ y: Four<S>) -> Six<S> {
  let (a, b) = (S(0.625), S(1.5))
  let (aa, bb) = (a * a, b * b)
  let (even1, odd1) = (y.0 + y.2 * aa, (y.1 + y.3 * aa) * a)
  let (even2, odd2) = (y.0 + y.2 * bb, (y.1 + y.3 * bb) * b)
  return (y.0, even1 + odd1, even1 - odd1, even2 + odd2, even2 - odd2, y.3)
}

/// Gᵀ m: the transpose of the matrix that evaluates a forward kernel.
@inline(__always)
private func collected<S: TensorScalar>(_ m: Six<S>) -> (SIMD8<S>, SIMD8<S>, SIMD8<S>) {
  let (a, b) = (S(0.625), S(1.5))
  let (aa, bb) = (a * a, b * b)
  let (even1, odd1) = ((m.1 + m.2) * (1 / (2 * aa * (aa - bb))), (m.1 - m.2) * (1 / (2 * a * (aa - bb))))
  let (even2, odd2) = ((m.3 + m.4) * (1 / (2 * bb * (bb - aa))), (m.3 - m.4) * (1 / (2 * b * (bb - aa))))
  return (m.0 * (1 / (aa * bb)) + (even1 + even2), odd1 + odd2, (even1 * aa + even2 * bb) + m.5)
}

/// A dY Aᵀ of some rows of tiles of one image → 36 planes of [O, tiles]; channels are `stride` elements apart.
@inline(__always)
private func transformOutputGradient<S: TensorScalar>(
  _ image: UnsafePointer<S>, _ sizes: ConvolutionSizes, _ rows: Range<Int>, _ columns: Int,
  _ target: UnsafeMutablePointer<S>, _ plane: Int, stride: Int
) {
  let (height, width) = (sizes.height, sizes.width)
  // Six lines of a strip, zeros after the map's last column, and a row of zeros to read below the map.
  let line = (columns + 7) / 8 * 8 * side
  withScratch((reach + 1) * line) { (lines: UnsafeMutablePointer<S>) in
    lines.update(repeating: 0, count: (reach + 1) * line)
    let zeros = UnsafePointer(lines + reach * line)
    for channel in 0..<sizes.outputs {
      let map = image + channel * height * width
      for row in rows {
        @inline(__always) func source(_ r: Int) -> UnsafePointer<S> {
          let y = row * side + r
          return y < height ? map + y * width : zeros
        }
        let (r0, r1, r2, r3) = (source(0), source(1), source(2), source(3))
        byEights(width) { column, lanes in
          let y = (
            eight(r0, column, lanes), eight(r1, column, lanes), eight(r2, column, lanes), eight(r3, column, lanes)
          )
          putSix(evaluated(y), lines, line, column, lanes)
        }
        let start = target + channel * stride + (row - rows.lowerBound) * columns
        byEights(columns) { tile, lanes in
          for r in 0..<reach {
            let y = parted(UnsafePointer(lines + r * line + tile * side))
            putSix(evaluated(y), start + r * reach * plane, plane, tile, lanes)
          }
        }
      }
    }
  }
}

/// Gᵀ m G of one output channel, m the sum of all runs' 36 planes of [I] → [I, 3, 3].
@inline(__always)
private func transformWeightGradient<S: TensorScalar>(
  _ sums: UnsafePointer<S>, _ plane: Int, runs: Int, stride: Int, inputs: Int, _ dWeight: UnsafeMutablePointer<S>
) {
  byEights(inputs) { input, lanes in
    @inline(__always) func column(_ v: Int) -> (SIMD8<S>, SIMD8<S>, SIMD8<S>) {
      @inline(__always) func at(_ u: Int) -> SIMD8<S> {
        let start = sums + (u * reach + v) * plane
        var sum = eight(start, input, lanes)
        for run in 1..<runs { sum += eight(start + run * stride, input, lanes) }
        return sum
      }
      return collected((at(0), at(1), at(2), at(3), at(4), at(5)))
    }
    let (c0, c1, c2, c3, c4, c5) = (column(0), column(1), column(2), column(3), column(4), column(5))
    @inline(__always) func store(_ u: Int, _ m: Six<S>) {
      let g = collected(m)
      for lane in 0..<lanes {
        let target = dWeight + (input + lane) * 9 + u * 3
        (target[0], target[1], target[2]) = (g.0[lane], g.1[lane], g.2[lane])
      }
    }
    store(0, (c0.0, c1.0, c2.0, c3.0, c4.0, c5.0))
    store(1, (c0.1, c1.1, c2.1, c3.1, c4.1, c5.1))
    store(2, (c0.2, c1.2, c2.2, c3.2, c4.2, c5.2))
  }
}
