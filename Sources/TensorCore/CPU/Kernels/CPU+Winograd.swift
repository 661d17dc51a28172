// 3 × 3 convolution with stride 1 and padding 1, in tiles of 4 × 4 outputs from 6 × 6 inputs:
// Y = Aᵀ[(G g Gᵀ) ∘ (Bᵀ d B)]A, Lavin & Gray 2016, arXiv 1509.09308. The sum over channels makes ∘ into 36 matrix
// products, a quarter of the multiplications: 2.8 times as fast as patches from 64 × 64 on, halving the decoder's time.
//
// The polynomials are evaluated at 0, ±5/8, ±3/2 and ∞, not at the usual ±1 and ±2, whose error is four times as large;
// the entries of A and B are then exact in binary. The backward is in `CPU+WinogradGradient.swift`. Transformed weights
// are not kept between calls. A non-finite value spoils its whole tile; with patches, only the outputs that read it.

/// Rows and columns of outputs in a tile, and of inputs.
private let (side, reach) = (4, 6)
/// Positions in a transformed tile, each with its own matrix product.
private let places = 36
/// The target number of tiles per piece of work.
private let tilesPerPiece = 128

typealias Four<S: TensorScalar> = (SIMD8<S>, SIMD8<S>, SIMD8<S>, SIMD8<S>)
typealias Six<S: TensorScalar> = (SIMD8<S>, SIMD8<S>, SIMD8<S>, SIMD8<S>, SIMD8<S>, SIMD8<S>)

extension CPU {
  /// Whether the tiles make up for transforming the weight: a rule for one image, so that the choice does not depend on
  /// the batch.
  ///
  /// Measured at 32 × 32: 1.1 times as fast with 640 channels, 1.9 with 320, 2.4 with 32;
  /// at 16 × 16: 0.35 with 640, 1.15 with 320, and with a whole map per product 2.0 with 128 and 4.6 with 64.
  static func prefersWinograd(_ sizes: ConvolutionSizes, _ parameters: ConvolutionParameters) -> Bool {
    sizes.kernelHeight == 3 && sizes.kernelWidth == 3 && parameters == .padded(1)
      && sizes.inputs >= 32 && sizes.outputs >= 32
      && min(sizes.height, sizes.width) >= (max(sizes.inputs, sizes.outputs) <= 256 ? 16 : 32)
  }

  /// y = weight ∗ x + bias for a 3 × 3 kernel, stride 1 and padding 1, by Winograd's method.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  package static func winogradConvolution(
    _ x: Tensor<CPU>, weight: Tensor<CPU>, bias: Tensor<CPU>?
  ) -> Tensor<CPU> {
    let sizes = ConvolutionSizes(x: x.shape, weight: weight.shape, bias: bias?.shape, .padded(1))
    precondition(sizes.kernelHeight == 3 && sizes.kernelWidth == 3, "winogradConvolution: weight \(weight.shape)")
    return winogradConvolution(x, weight: weight, bias: bias, sizes, joiningImages: false)
  }

  /// The same; images of small maps may share their matrix products, in which case bits may depend on the batch.
  @inline(__always)
  static func winogradConvolution(
    _ x: Tensor<CPU>, weight: Tensor<CPU>, bias: Tensor<CPU>?, _ sizes: ConvolutionSizes, joiningImages: Bool
  ) -> Tensor<CPU> {
    let map = sizes.height * sizes.width
    let cut = WinogradCut(sizes, joiningImages: joiningImages)
    // Planes start in different cache sets, although their sizes are often multiples of 4096 bytes.
    let weightPlane = sizes.inputs * sizes.outputs + 16
    return make(sizes.outputShape) { y in
      withPointers(x, weight) { x, weight in
        withScratch(places * weightPlane) { (transformed: UnsafeMutablePointer<Scalar>) in
          parallel(sizes.outputs) { output in
            transformWeight(
              weight + output * sizes.inputs * 9, inputs: sizes.inputs, transformed + output * sizes.inputs, weightPlane
            )
          }
          let bias = bias?.storage
          withExtendedLifetime(bias) {
            parallel(cut.count) { piece in
              let (images, rows) = cut[piece]
              let tilesPerImage = rows.count * cut.tileColumns
              let tiles = images.count * tilesPerImage
              let (inputPlane, outputPlane) = (sizes.inputs * tiles + 16, sizes.outputs * tiles + 16)
              withScratch(places * (inputPlane + outputPlane)) { (inputs: UnsafeMutablePointer<Scalar>) in
                let products = inputs + places * inputPlane
                for image in images {
                  let target = inputs + (image - images.lowerBound) * tilesPerImage
                  transformInput(
                    x + image * sizes.inputs * map, sizes, rows, cut.tileColumns, target, inputPlane, stride: tiles)
                }
                for place in 0..<places {
                  MatrixProduct.part(
                    transposeA: false, transposeB: false, m: sizes.outputs, n: tiles, k: sizes.inputs, alpha: 1,
                    transformed + place * weightPlane, lda: sizes.inputs, inputs + place * inputPlane, ldb: tiles,
                    beta: 0, products + place * outputPlane, ldc: tiles)
                }
                for image in images {
                  let result = y + image * sizes.outputs * map
                  let source = products + (image - images.lowerBound) * tilesPerImage
                  for output in 0..<sizes.outputs {
                    transformOutput(
                      source + output * tiles, outputPlane, sizes, rows, cut.tileColumns,
                      bias: bias.map { $0.start[output] } ?? 0, result + output * map)
                  }
                }
              }
            }
          }
        }
      }
    }
  }
}

/// How the tiles of a batch are cut into pieces of work: rows of tiles of one image or, where they may be joined,
/// several whole images.
struct WinogradCut {
  /// Columns of tiles of a map.
  let tileColumns: Int
  private let tileRows: Int
  private let batch: Int
  private let rowsPerPiece: Int
  private let imagesPerPiece: Int

  init(_ sizes: ConvolutionSizes, joiningImages: Bool) {
    (tileRows, tileColumns) = ((sizes.height + side - 1) / side, (sizes.width + side - 1) / side)
    batch = sizes.batch
    // For a single image, half the map at most, so that two threads have work, but no fewer tiles than a vector has
    // lanes.
    let most = joiningImages || tileRows * tileColumns <= 16 ? tileRows : (tileRows + 1) / 2
    rowsPerPiece = max(1, min(tilesPerPiece / tileColumns, most))
    imagesPerPiece =
      joiningImages && rowsPerPiece == tileRows ? max(1, tilesPerPiece / (tileRows * tileColumns)) : 1
  }

  private var piecesPerImage: Int { (tileRows + rowsPerPiece - 1) / rowsPerPiece }

  /// The number of pieces.
  var count: Int { (batch + imagesPerPiece - 1) / imagesPerPiece * piecesPerImage }

  /// The images of a piece, and their rows of tiles.
  subscript(piece: Int) -> (images: Range<Int>, rows: Range<Int>) {
    let (image, row) = (piece / piecesPerImage * imagesPerPiece, piece % piecesPerImage * rowsPerPiece)
    return (image..<min(image + imagesPerPiece, batch), row..<min(row + rowsPerPiece, tileRows))
  }
}

// MARK: - Transforms of eight tiles at once

/// G g: three values evaluated at the points.
@inline(__always)
private func evaluated<S: TensorScalar>(_ g: (SIMD8<S>, SIMD8<S>, SIMD8<S>)) -> Six<S> {
  let (a, b) = (S(0.625), S(1.5))
  let (aa, bb) = (a * a, b * b)
  let (even1, odd1) = ((g.0 + g.2 * aa) * (1 / (2 * aa * (aa - bb))), g.1 * (1 / (2 * a * (aa - bb))))
  let (even2, odd2) = ((g.0 + g.2 * bb) * (1 / (2 * bb * (bb - aa))), g.1 * (1 / (2 * b * (bb - aa))))
  return (g.0 * (1 / (aa * bb)), even1 + odd1, even1 - odd1, even2 + odd2, even2 - odd2, g.2)
}

/// Bᵀ d.
@inline(__always)
private func spread<S: TensorScalar>(_ d: Six<S>) -> Six<S> {
  let (a, b) = (S(0.625), S(1.5))
  let (aa, bb) = (a * a, b * b)
  let (even1, odd1) = (d.4 - d.2 * bb, (d.3 - d.1 * bb) * a)
  let (even2, odd2) = (d.4 - d.2 * aa, (d.3 - d.1 * aa) * b)
  return (
    d.0 * (aa * bb) - d.2 * (aa + bb) + d.4, even1 + odd1, even1 - odd1, even2 + odd2, even2 - odd2,
    d.1 * (aa * bb) - d.3 * (aa + bb) + d.5
  )
}

/// Aᵀ m.
@inline(__always)
private func gathered<S: TensorScalar>(_ m: Six<S>) -> Four<S> {
  let (a, b) = (S(0.625), S(1.5))
  let (aa, bb) = (a * a, b * b)
  let (sum1, difference1) = (m.1 + m.2, (m.1 - m.2) * a)
  let (sum2, difference2) = (m.3 + m.4, (m.3 - m.4) * b)
  return (
    m.0 + (sum1 + sum2), difference1 + difference2, sum1 * aa + sum2 * bb,
    difference1 * aa + difference2 * bb + m.5
  )
}

/// G g Gᵀ of one output channel's kernels [I, 3, 3] → 36 planes of [I].
@inline(__always)
private func transformWeight<S: TensorScalar>(
  _ weight: UnsafePointer<S>, inputs: Int, _ target: UnsafeMutablePointer<S>, _ plane: Int
) {
  byEights(inputs) { input, lanes in
    @inline(__always) func column(_ v: Int) -> Six<S> {
      var (g0, g1, g2) = (SIMD8<S>.zero, SIMD8<S>.zero, SIMD8<S>.zero)
      for lane in 0..<lanes {
        let kernel = weight + (input + lane) * 9 + v
        g0[lane] = kernel[0]
        g1[lane] = kernel[3]
        g2[lane] = kernel[6]
      }
      return evaluated((g0, g1, g2))
    }
    let (left, middle, right) = (column(0), column(1), column(2))
    @inline(__always) func store(_ row: Int, _ g: (SIMD8<S>, SIMD8<S>, SIMD8<S>)) {
      putSix(evaluated(g), target + row * reach * plane, plane, input, lanes)
    }
    store(0, (left.0, middle.0, right.0))
    store(1, (left.1, middle.1, right.1))
    store(2, (left.2, middle.2, right.2))
    store(3, (left.3, middle.3, right.3))
    store(4, (left.4, middle.4, right.4))
    store(5, (left.5, middle.5, right.5))
  }
}

/// Bᵀ d B of some rows of tiles of one image → 36 planes of [I, tiles]; channels are `stride` elements apart.
@inline(__always)
func transformInput<S: TensorScalar>(
  _ image: UnsafePointer<S>, _ sizes: ConvolutionSizes, _ rows: Range<Int>, _ columns: Int,
  _ target: UnsafeMutablePointer<S>, _ plane: Int, stride: Int
) {
  let (height, width) = (sizes.height, sizes.width)
  // Six lines of the columns −1, 0, 1, … of a strip, and a row of zeros to read outside the map.
  let line = (columns + 7) / 8 * 8 * side + 8
  withScratch((reach + 1) * line) { (lines: UnsafeMutablePointer<S>) in
    lines.update(repeating: 0, count: (reach + 1) * line)
    let zeros = UnsafePointer(lines + reach * line)
    for channel in 0..<sizes.inputs {
      let map = image + channel * height * width
      for row in rows {
        @inline(__always) func source(_ r: Int) -> UnsafePointer<S> {
          let y = row * side + r - 1
          return y >= 0 && y < height ? map + y * width : zeros
        }
        let (r0, r1, r2, r3, r4, r5) = (source(0), source(1), source(2), source(3), source(4), source(5))
        byEights(width) { column, lanes in
          let d = spread(
            (
              eight(r0, column, lanes), eight(r1, column, lanes), eight(r2, column, lanes), eight(r3, column, lanes),
              eight(r4, column, lanes), eight(r5, column, lanes)
            ))
          putSix(d, lines + 1, line, column, lanes)
        }
        let start = target + channel * stride + (row - rows.lowerBound) * columns
        byEights(columns) { tile, lanes in
          for r in 0..<reach {
            let place = lines + r * line + tile * side
            let (d0, d1, d2, d3) = parted(place)
            let (d4, d5, _, _) = parted(place + side)
            putSix(spread((d0, d1, d2, d3, d4, d5)), start + r * reach * plane, plane, tile, lanes)
          }
        }
      }
    }
  }
}

/// Aᵀ m A + bias of 36 planes of [tiles] → some rows of tiles of one output map.
@inline(__always)
private func transformOutput<S: TensorScalar>(
  _ products: UnsafePointer<S>, _ plane: Int, _ sizes: ConvolutionSizes, _ rows: Range<Int>, _ columns: Int,
  bias: S, _ map: UnsafeMutablePointer<S>
) {
  for row in rows {
    let start = products + (row - rows.lowerBound) * columns
    byEights(columns) { tile, lanes in
      @inline(__always) func column(_ v: Int) -> Four<S> {
        @inline(__always) func at(_ u: Int) -> SIMD8<S> { eight(start + (u * reach + v) * plane, tile, lanes) }
        return gathered((at(0), at(1), at(2), at(3), at(4), at(5)))
      }
      let (c0, c1, c2, c3, c4, c5) = (column(0), column(1), column(2), column(3), column(4), column(5))
      @inline(__always) func store(_ u: Int, _ m: Six<S>) {
        let y = row * side + u
        guard y < sizes.height else { return }
        let four = gathered(m)
        let target = map + y * sizes.width + tile * side
        let joined = joined((four.0 + bias, four.1 + bias, four.2 + bias, four.3 + bias))
        let count = min(32, sizes.width - tile * side)
        if count == 32 {
          UnsafeMutableRawPointer(target).storeBytes(of: joined, as: SIMD32<S>.self)
        } else {
          for i in 0..<count { target[i] = joined[i] }
        }
      }
      store(0, (c0.0, c1.0, c2.0, c3.0, c4.0, c5.0))
      store(1, (c0.1, c1.1, c2.1, c3.1, c4.1, c5.1))
      store(2, (c0.2, c1.2, c2.2, c3.2, c4.2, c5.2))
      store(3, (c0.3, c1.3, c2.3, c3.3, c4.3, c5.3))
    }
  }
}

/// Writes six vectors, each to its plane.
@inline(__always)
func putSix<S: TensorScalar>(
  _ v: Six<S>, _ target: UnsafeMutablePointer<S>, _ plane: Int, _ place: Int, _ lanes: Int
) {
  put(v.0, target, place, lanes)
  put(v.1, target + plane, place, lanes)
  put(v.2, target + 2 * plane, place, lanes)
  put(v.3, target + 3 * plane, place, lanes)
  put(v.4, target + 4 * plane, place, lanes)
  put(v.5, target + 5 * plane, place, lanes)
}

/// 32 consecutive values as four vectors: vector i has the values 4·lane + i.
@inline(__always)
func parted<S: TensorScalar>(_ start: UnsafePointer<S>) -> Four<S> {
  let all = UnsafeRawPointer(start).loadUnaligned(as: SIMD32<S>.self)
  let (even, odd) = (all.evenHalf, all.oddHalf)
  return (even.evenHalf, odd.evenHalf, even.oddHalf, odd.oddHalf)
}

/// The inverse of `parted`.
@inline(__always)
private func joined<S: TensorScalar>(_ four: Four<S>) -> SIMD32<S> {
  var (even, odd) = (SIMD16<S>.zero, SIMD16<S>.zero)
  even.evenHalf = four.0
  even.oddHalf = four.2
  odd.evenHalf = four.1
  odd.oddHalf = four.3
  var all = SIMD32<S>.zero
  all.evenHalf = even
  all.oddHalf = odd
  return all
}
