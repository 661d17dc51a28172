// Area and bicubic resampling, and doubling by repetition, of maps [B, C, H, W].
//
// The first two go through `ResamplingTaps`: rows are combined first (vectors along a row), then columns. The backward
// runs the same loops with the taps of each axis reversed. Maps are small (at most some tens of pixels on a side), so a
// piece of work is many of them; nothing is done to speed up large ones.

extension CPU: ResamplingOps {
  /// Adaptive average pooling.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func areaResize(_ x: Tensor<CPU>, height: Int, width: Int) -> Tensor<CPU> {
    let size = mapSize("areaResize", x.shape, height, width)
    return resample(
      x, rows: AxisSums(.area(from: size.height, to: height)), columns: AxisSums(.area(from: size.width, to: width)))
  }

  /// The gradient of `areaResize` for inputs of the given size.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dAreaResize(_ dOutput: Tensor<CPU>, height: Int, width: Int) -> Tensor<CPU> {
    let size = mapSize("dAreaResize", dOutput.shape, height, width)
    return resample(
      dOutput, rows: AxisSums(reversing: .area(from: height, to: size.height), inputs: height),
      columns: AxisSums(reversing: .area(from: width, to: size.width), inputs: width))
  }

  /// Bicubic interpolation.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func bicubicResize(_ x: Tensor<CPU>, height: Int, width: Int) -> Tensor<CPU> {
    let size = mapSize("bicubicResize", x.shape, height, width)
    return resample(
      x, rows: AxisSums(.bicubic(from: size.height, to: height)),
      columns: AxisSums(.bicubic(from: size.width, to: width)))
  }

  /// The gradient of `bicubicResize` for inputs of the given size.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dBicubicResize(_ dOutput: Tensor<CPU>, height: Int, width: Int) -> Tensor<CPU> {
    let size = mapSize("dBicubicResize", dOutput.shape, height, width)
    return resample(
      dOutput, rows: AxisSums(reversing: .bicubic(from: height, to: size.height), inputs: height),
      columns: AxisSums(reversing: .bicubic(from: width, to: size.width), inputs: width))
  }

  // MARK: Doubling

  /// Every pixel repeated twice in both directions.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func upsampleNearest(_ x: Tensor<CPU>) -> Tensor<CPU> {
    precondition(x.shape.rank == 4, "upsampleNearest: x \(x.shape)")
    let (rows, width) = (x.shape[0] * x.shape[1] * x.shape[2], x.shape[3])
    return make([x.shape[0], x.shape[1], 2 * x.shape[2], 2 * width]) { result in
      withPointers(x) { x in
        parallel(rows, grain: rowsPerPiece(4 * width)) { rows in
          for row in rows {
            let (x, upper, lower) = (x + row * width, result + row * 4 * width, result + (row * 4 + 2) * width)
            byEights(width) { i, lanes in
              let pixels = eight(x, i, lanes)
              if lanes == 8 {
                var pairs = SIMD16<Scalar>()
                pairs.evenHalf = pixels
                pairs.oddHalf = pixels
                UnsafeMutableRawPointer(upper + 2 * i).storeBytes(of: pairs, as: SIMD16<Scalar>.self)
                UnsafeMutableRawPointer(lower + 2 * i).storeBytes(of: pairs, as: SIMD16<Scalar>.self)
              } else {
                for lane in 0..<2 * lanes {
                  upper[2 * i + lane] = pixels[lane / 2]
                  lower[2 * i + lane] = pixels[lane / 2]
                }
              }
            }
          }
        }
      }
    }
  }

  /// The gradient of `upsampleNearest`: the sum over each 2 × 2 square.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dUpsampleNearest(_ dOutput: Tensor<CPU>) -> Tensor<CPU> {
    let shape = dOutput.shape
    precondition(shape.rank == 4 && shape[2] % 2 == 0 && shape[3] % 2 == 0, "dUpsampleNearest: dOutput \(shape)")
    let (rows, width) = (shape[0] * shape[1] * shape[2] / 2, shape[3] / 2)
    return make([shape[0], shape[1], shape[2] / 2, width]) { result in
      withPointers(dOutput) { d in
        parallel(rows, grain: rowsPerPiece(4 * width)) { rows in
          for row in rows {
            let (upper, lower, result) = (d + row * 4 * width, d + (row * 4 + 2) * width, result + row * width)
            byEights(width) { i, lanes in
              if lanes == 8 {
                let first = eight(upper, 2 * i) + eight(lower, 2 * i)
                let second = eight(upper, 2 * i + 8) + eight(lower, 2 * i + 8)
                let pairs = SIMD16(lowHalf: first, highHalf: second)
                put(pairs.evenHalf + pairs.oddHalf, result, i)
              } else {
                for j in i..<i + lanes {
                  result[j] = (upper[2 * j] + lower[2 * j]) + (upper[2 * j + 1] + lower[2 * j + 1])
                }
              }
            }
          }
        }
      }
    }
  }

  // MARK: Weighted sums along both axes

  /// Sums along the rows, then along the columns, of every map.
  @inline(__always)
  private static func resample(_ x: Tensor<CPU>, rows: AxisSums<Scalar>, columns: AxisSums<Scalar>) -> Tensor<CPU> {
    let (maps, height, width) = (x.shape[0] * x.shape[1], x.shape[2], x.shape[3])
    let (newHeight, newWidth) = (rows.count, columns.count)
    let work = rows.places.count * width + columns.places.count * newHeight
    return make([x.shape[0], x.shape[1], newHeight, newWidth]) { result in
      withPointers(x) { x in
        parallel(maps, grain: rowsPerPiece(work)) { maps in
          withScratch(width) { (line: UnsafeMutablePointer<Scalar>) in
            for map in maps {
              let x = x + map * height * width
              for i in 0..<newHeight {
                byEights(width) { j, lanes in
                  var sum = SIMD8<Scalar>.zero
                  for tap in rows.starts[i]..<rows.starts[i + 1] {
                    sum += eight(x, rows.places[tap] * width + j, lanes) * rows.weights[tap]
                  }
                  put(sum, line, j, lanes)
                }
                let result = result + (map * newHeight + i) * newWidth
                for j in 0..<newWidth {
                  var sum = Scalar.zero
                  for tap in columns.starts[j]..<columns.starts[j + 1] {
                    sum += line[columns.places[tap]] * columns.weights[tap]
                  }
                  result[j] = sum
                }
              }
            }
          }
        }
      }
    }
  }
}

/// The weighted sums of one axis in flat arrays: output i has taps starts[i] ..< starts[i + 1].
private struct AxisSums<S: TensorScalar> {
  var starts: [Int] = [0]
  var places: [Int] = []
  var weights: [S] = []
  /// The number of outputs.
  var count: Int { starts.count - 1 }

  /// The sums of the forward.
  init(_ taps: ResamplingTaps) {
    for (places, weights) in zip(taps.places, taps.weights) {
      self.places += places
      self.weights += weights.map { S($0) }
      starts.append(self.places.count)
    }
  }

  /// The sums of the backward: every input gathers from the outputs that read it.
  init(reversing taps: ResamplingTaps, inputs: Int) {
    var readers = [[(output: Int, weight: Double)]](repeating: [], count: inputs)
    for (output, (places, weights)) in zip(taps.places, taps.weights).enumerated() {
      for (place, weight) in zip(places, weights) { readers[place].append((output, weight)) }
    }
    for readers in readers {
      places += readers.map(\.output)
      weights += readers.map { S($0.weight) }
      starts.append(places.count)
    }
  }
}

/// The height and width of maps [B, C, H, W], checked.
private func mapSize(_ name: String, _ shape: Shape, _ height: Int, _ width: Int) -> (height: Int, width: Int) {
  precondition(
    shape.rank == 4 && shape[2] > 0 && shape[3] > 0 && height > 0 && width > 0,
    "\(name): \(shape), \(height) × \(width)")
  return (shape[2], shape[3])
}
