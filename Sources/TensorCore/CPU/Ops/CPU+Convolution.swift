// Convolution as matrix products over tiles of output pixels: the patches of a tile are gathered [I·h·w, pixels] and
// one product with the weight writes straight into the output's rows. A 1 × 1 convolution needs no gathering. Large
// 3 × 3 convolutions use other code (`CPU+Winograd.swift`, `CPU+WinogradGradient.swift`).
//
// Tiles are those of one image, so results do not depend on the batch. In the backward a piece owns a block of input
// channels, and with them their part of dX and dW, so no two threads add to the same element.

/// The number of input channels that a piece of the backward owns.
private let channelsPerPiece = 16

/// A run of output pixels of one image.
private struct PixelTile {
  let sizes: ConvolutionSizes
  let parameters: ConvolutionParameters
  /// Indices in the flattened output map.
  let pixels: Range<Int>

  /// Tiles of an output map: half the map at most, so that two threads have work, and few enough pixels for the cache.
  static func all(_ sizes: ConvolutionSizes, _ parameters: ConvolutionParameters) -> [PixelTile] {
    let pixels = sizes.outputHeight * sizes.outputWidth
    let count = max(64, min(512, (pixels + 1) / 2))
    return stride(from: 0, to: pixels, by: count).map {
      PixelTile(sizes: sizes, parameters: parameters, pixels: $0..<min($0 + count, pixels))
    }
  }

  /// Calls `body(offset, count, row, column)` for each run of the tile's pixels that lies in one output row.
  @inline(__always)
  func forEachRun(_ body: (Int, Int, Int, Int) -> Void) {
    var pixel = pixels.lowerBound
    while pixel < pixels.upperBound {
      let (row, column) = (pixel / sizes.outputWidth, pixel % sizes.outputWidth)
      let count = min(sizes.outputWidth - column, pixels.upperBound - pixel)
      body(pixel - pixels.lowerBound, count, row, column)
      pixel += count
    }
  }

  /// For a kernel column v and a run of output columns: which of them read inside the map, and the first input column.
  @inline(__always)
  func inside(_ v: Int, column: Int, count: Int) -> (skipped: Int, inside: Int, input: Int) {
    let step = parameters.stride
    let first = column * step + v - parameters.left
    let skipped = first >= 0 ? 0 : min(count, (-first + step - 1) / step)
    let start = first + skipped * step
    let inside = start >= sizes.width ? 0 : min(count - skipped, (sizes.width - start + step - 1) / step)
    return (skipped, inside, start)
  }
}

extension CPU: ConvolutionOps {
  /// y = weight ∗ x + bias.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func convolution(
    _ x: Tensor<CPU>, weight: Tensor<CPU>, bias: Tensor<CPU>?, _ parameters: ConvolutionParameters
  ) -> Tensor<CPU> {
    let sizes = ConvolutionSizes(x: x.shape, weight: weight.shape, bias: bias?.shape, parameters)
    return prefersWinograd(sizes, parameters)
      ? winogradConvolution(x, weight: weight, bias: bias) : patchConvolution(x, weight: weight, bias: bias, parameters)
  }

  /// `convolution` for every kernel, stride and padding.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  package static func patchConvolution(
    _ x: Tensor<CPU>, weight: Tensor<CPU>, bias: Tensor<CPU>?, _ parameters: ConvolutionParameters
  ) -> Tensor<CPU> {
    let sizes = ConvolutionSizes(x: x.shape, weight: weight.shape, bias: bias?.shape, parameters)
    let (map, outputMap) = (sizes.height * sizes.width, sizes.outputHeight * sizes.outputWidth)
    let patch = sizes.inputs * sizes.kernelHeight * sizes.kernelWidth
    let tiles = PixelTile.all(sizes, parameters)
    let plain = isPlain(sizes, parameters)
    return make(sizes.outputShape) { y in
      withPointers(x, weight) { x, weight in
        let bias = bias?.storage
        withExtendedLifetime(bias) {
          parallel(sizes.batch * tiles.count) { piece in
            let tile = tiles[piece % tiles.count]
            let image = x + piece / tiles.count * sizes.inputs * map
            let result = y + piece / tiles.count * sizes.outputs * outputMap + tile.pixels.lowerBound
            let count = tile.pixels.count
            if let bias {
              for o in 0..<sizes.outputs { (result + o * outputMap).update(repeating: bias.start[o], count: count) }
            }
            func multiply(_ patches: UnsafePointer<Scalar>, _ stride: Int) {
              MatrixProduct.part(
                transposeA: false, transposeB: false, m: sizes.outputs, n: count, k: patch, alpha: 1,
                weight, lda: patch, patches, ldb: stride, beta: bias == nil ? 0 : 1, result, ldc: outputMap)
            }
            if plain {
              multiply(image + tile.pixels.lowerBound, map)
            } else {
              withScratch(patch * count) { (patches: UnsafeMutablePointer<Scalar>) in
                gather(image, tile, channels: 0..<sizes.inputs, patches)
                multiply(patches, count)
              }
            }
          }
        }
      }
    }
  }

  /// dX and dW by tiles or by patches; db = Σ dY.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dConvolution(
    _ dOutput: Tensor<CPU>, x: Tensor<CPU>, weight: Tensor<CPU>, hasBias: Bool, _ parameters: ConvolutionParameters
  ) -> LinearGradients<CPU> {
    let sizes = ConvolutionSizes(x: x.shape, weight: weight.shape, bias: nil, parameters)
    precondition(
      dOutput.shape == sizes.outputShape, "dConvolution: gradient \(dOutput.shape), output \(sizes.outputShape)")
    let dBias = hasBias ? channelSums(dOutput, sizes) : nil
    guard prefersWinogradGradient(sizes, parameters) else {
      let (dX, dWeight) = patchGradients(dOutput, x: x, weight: weight, parameters)
      return LinearGradients(x: dX, weight: dWeight, bias: dBias)
    }
    return LinearGradients(
      x: winogradInputGradient(dOutput, weight: weight),
      weight: winogradWeightGradient(dOutput, x: x, weight: weight.shape), bias: dBias)
  }

  /// dX: dY through the transposed weight, each patch added back to where it was gathered from; dW = Σ dY·patchesᵀ.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  package static func patchGradients(
    _ dOutput: Tensor<CPU>, x: Tensor<CPU>, weight: Tensor<CPU>, _ parameters: ConvolutionParameters
  ) -> (x: Tensor<CPU>, weight: Tensor<CPU>) {
    let sizes = ConvolutionSizes(x: x.shape, weight: weight.shape, bias: nil, parameters)
    let (map, outputMap) = (sizes.height * sizes.width, sizes.outputHeight * sizes.outputWidth)
    let kernel = sizes.kernelHeight * sizes.kernelWidth
    let patch = sizes.inputs * kernel
    let tiles = PixelTile.all(sizes, parameters)
    let blocks = (sizes.inputs + channelsPerPiece - 1) / channelsPerPiece
    let dX = makeZeros(x.shape) { dX in
      withPointers(dOutput, weight) { dY, weight in
        parallel(sizes.batch * blocks) { piece in
          let image = piece / blocks
          let channels = block(piece % blocks, of: sizes.inputs)
          for tile in tiles {
            let count = tile.pixels.count
            withScratch(channels.count * kernel * count) { (patches: UnsafeMutablePointer<Scalar>) in
              MatrixProduct.part(
                transposeA: true, transposeB: false, m: channels.count * kernel, n: count, k: sizes.outputs, alpha: 1,
                weight + channels.lowerBound * kernel, lda: patch,
                dY + image * sizes.outputs * outputMap + tile.pixels.lowerBound, ldb: outputMap,
                beta: 0, patches, ldc: count)
              scatter(patches, tile, channels: channels, dX + image * sizes.inputs * map)
            }
          }
        }
      }
    }
    let dWeight = makeZeros(weight.shape) { dWeight in
      withPointers(dOutput, x) { dY, x in
        parallel(blocks) { piece in
          let channels = block(piece, of: sizes.inputs)
          for image in 0..<sizes.batch {
            for tile in tiles {
              let count = tile.pixels.count
              withScratch(channels.count * kernel * count) { (patches: UnsafeMutablePointer<Scalar>) in
                gather(x + image * sizes.inputs * map, tile, channels: channels, patches)
                MatrixProduct.part(
                  transposeA: false, transposeB: true, m: sizes.outputs, n: channels.count * kernel, k: count, alpha: 1,
                  dY + image * sizes.outputs * outputMap + tile.pixels.lowerBound, lda: outputMap,
                  patches, ldb: count, beta: 1, dWeight + channels.lowerBound * kernel, ldc: patch)
              }
            }
          }
        }
      }
    }
    return (dX, dWeight)
  }

  /// Σ over images and pixels of each output channel, images in order.
  @inline(__always)
  private static func channelSums(_ dOutput: Tensor<CPU>, _ sizes: ConvolutionSizes) -> Tensor<CPU> {
    let outputMap = sizes.outputHeight * sizes.outputWidth
    return make([sizes.outputs]) { sums in
      withPointers(dOutput) { dY in
        parallel(sizes.outputs) { output in
          var sum: Scalar = 0
          for image in 0..<sizes.batch {
            let row = dY + (image * sizes.outputs + output) * outputMap
            sum += total(outputMap) { eight(row, $0, $1) }
          }
          sums[output] = sum
        }
      }
    }
  }

  private static func block(_ index: Int, of inputs: Int) -> Range<Int> {
    index * channelsPerPiece..<min((index + 1) * channelsPerPiece, inputs)
  }

  /// Whether patches are the input itself.
  private static func isPlain(_ sizes: ConvolutionSizes, _ parameters: ConvolutionParameters) -> Bool {
    sizes.kernelHeight == 1 && sizes.kernelWidth == 1 && parameters == ConvolutionParameters()
  }
}

/// The patches of a tile for some input channels of one image → [channels·h·w, pixels]; zeros outside the map.
@inline(__always)
private func gather<S: TensorScalar>(
  _ image: UnsafePointer<S>, _ tile: PixelTile, channels: Range<Int>, _ patches: UnsafeMutablePointer<S>
) {
  let (sizes, step) = (tile.sizes, tile.parameters.stride)
  var target = patches
  for channel in channels {
    let map = image + channel * sizes.height * sizes.width
    for u in 0..<sizes.kernelHeight {
      for v in 0..<sizes.kernelWidth {
        tile.forEachRun { offset, count, row, column in
          let y = row * step + u - tile.parameters.top
          let target = target + offset
          guard y >= 0 && y < sizes.height else {
            target.update(repeating: 0, count: count)
            return
          }
          let (skipped, inside, first) = tile.inside(v, column: column, count: count)
          target.update(repeating: 0, count: skipped)
          let source = map + y * sizes.width + first
          if step == 1 {
            (target + skipped).update(from: source, count: inside)
          } else {
            for i in 0..<inside { target[skipped + i] = source[i * step] }
          }
          (target + skipped + inside).update(repeating: 0, count: count - skipped - inside)
        }
        target += tile.pixels.count
      }
    }
  }
}

/// Adds patches back to the positions they were gathered from.
@inline(__always)
private func scatter<S: TensorScalar>(
  _ patches: UnsafePointer<S>, _ tile: PixelTile, channels: Range<Int>, _ image: UnsafeMutablePointer<S>
) {
  let (sizes, step) = (tile.sizes, tile.parameters.stride)
  var source = patches
  for channel in channels {
    let map = image + channel * sizes.height * sizes.width
    for u in 0..<sizes.kernelHeight {
      for v in 0..<sizes.kernelWidth {
        tile.forEachRun { offset, count, row, column in
          let y = row * step + u - tile.parameters.top
          guard y >= 0 && y < sizes.height else { return }
          let (skipped, inside, first) = tile.inside(v, column: column, count: count)
          let source = source + offset + skipped
          let target = map + y * sizes.width + first
          if step == 1 {
            byEights(inside) { i, lanes in
              put(eight(UnsafePointer(target), i, lanes) + eight(source, i, lanes), target, i, lanes)
            }
          } else {
            for i in 0..<inside { target[i * step] += source[i] }
          }
        }
        source += tile.pixels.count
      }
    }
  }
}
