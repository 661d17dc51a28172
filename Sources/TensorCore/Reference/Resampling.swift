// Resizing maps. Area and bicubic resizing are linear: output (i, j) is a sum over the taps of row i and column j
// (`ResamplingTaps`), and the backward propagates each gradient back along the same taps with the same weights.
//
// The two directions are not separated into passes: the double sum is the definition.

extension Reference: ResamplingOps {
  /// y[i, j] = mean of the inputs ⌊i·H/h⌋ … ⌈(i+1)·H/h⌉ − 1 in rows, and likewise in columns
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func areaResize(_ x: Tensor<Reference>, height: Int, width: Int) -> Tensor<Reference> {
    precondition(x.shape.rank == 4 && height > 0 && width > 0, "areaResize: x \(x.shape) to \(height) × \(width)")
    return resize(
      x, rows: .area(from: x.shape[2], to: height), columns: .area(from: x.shape[3], to: width))
  }

  /// dx: each gradient divided among the inputs it averaged.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dAreaResize(_ dOutput: Tensor<Reference>, height: Int, width: Int) -> Tensor<Reference> {
    precondition(
      dOutput.shape.rank == 4 && height > 0 && width > 0, "dAreaResize: gradient \(dOutput.shape), \(height) × \(width)"
    )
    return dResize(
      dOutput, height: height, width: width,
      rows: .area(from: height, to: dOutput.shape[2]), columns: .area(from: width, to: dOutput.shape[3]))
  }

  /// y[i, j] = Σ of 4 × 4 inputs around ((i + ½)·H/h − ½, (j + ½)·W/w − ½) with cubic weights, a = −0.75
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func bicubicResize(_ x: Tensor<Reference>, height: Int, width: Int) -> Tensor<Reference> {
    precondition(x.shape.rank == 4 && height > 0 && width > 0, "bicubicResize: x \(x.shape) to \(height) × \(width)")
    return resize(
      x, rows: .bicubic(from: x.shape[2], to: height), columns: .bicubic(from: x.shape[3], to: width))
  }

  /// dx: each gradient sent to its 4 × 4 inputs with the same weights; positions at the border may coincide.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dBicubicResize(_ dOutput: Tensor<Reference>, height: Int, width: Int) -> Tensor<Reference> {
    precondition(
      dOutput.shape.rank == 4 && height > 0 && width > 0,
      "dBicubicResize: gradient \(dOutput.shape), \(height) × \(width)")
    return dResize(
      dOutput, height: height, width: width,
      rows: .bicubic(from: height, to: dOutput.shape[2]), columns: .bicubic(from: width, to: dOutput.shape[3]))
  }

  /// y[i, j] = Σᵤ Σᵥ rows.weights[i][u]·columns.weights[j][v]·x[rows.places[i][u], columns.places[j][v]]
  private static func resize(_ x: Tensor<Reference>, rows: ResamplingTaps, columns: ResamplingTaps)
    -> Tensor<Reference>
  {
    let (height, width) = (x.shape[2], x.shape[3])
    let (newHeight, newWidth) = (rows.places.count, columns.places.count)
    let shape: Shape = [x.shape[0], x.shape[1], newHeight, newWidth]
    let x = x.storage
    var y = [Scalar](repeating: 0, count: shape.count)
    for plane in 0..<shape[0] * shape[1] {
      for i in 0..<newHeight {
        for (row, rowWeight) in zip(rows.places[i], rows.weights[i]) {
          for j in 0..<newWidth {
            for (column, columnWeight) in zip(columns.places[j], columns.weights[j]) {
              y[(plane * newHeight + i) * newWidth + j] +=
                Scalar(rowWeight * columnWeight) * x[(plane * height + row) * width + column]
            }
          }
        }
      }
    }
    return Tensor(shape: shape, storage: y)  // [B, C, height, width]
  }

  /// dx[rows.places[i][u], columns.places[j][v]] += rows.weights[i][u]·columns.weights[j][v]·dy[i, j]
  private static func dResize(
    _ dOutput: Tensor<Reference>, height: Int, width: Int, rows: ResamplingTaps, columns: ResamplingTaps
  ) -> Tensor<Reference> {
    let (newHeight, newWidth) = (rows.places.count, columns.places.count)
    let shape: Shape = [dOutput.shape[0], dOutput.shape[1], height, width]
    let dy = dOutput.storage
    var dx = [Scalar](repeating: 0, count: shape.count)
    for plane in 0..<shape[0] * shape[1] {
      for i in 0..<newHeight {
        for (row, rowWeight) in zip(rows.places[i], rows.weights[i]) {
          for j in 0..<newWidth {
            for (column, columnWeight) in zip(columns.places[j], columns.weights[j]) {
              dx[(plane * height + row) * width + column] +=
                Scalar(rowWeight * columnWeight) * dy[(plane * newHeight + i) * newWidth + j]
            }
          }
        }
      }
    }
    return Tensor(shape: shape, storage: dx)  // [B, C, H, W]
  }

  /// y[i, j] = x[⌊i/2⌋, ⌊j/2⌋]
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func upsampleNearest(_ x: Tensor<Reference>) -> Tensor<Reference> {
    precondition(x.shape.rank == 4, "upsampleNearest: x \(x.shape)")
    let (height, width) = (x.shape[2], x.shape[3])
    let shape: Shape = [x.shape[0], x.shape[1], 2 * height, 2 * width]
    var y = [Scalar](repeating: 0, count: shape.count)
    for plane in 0..<shape[0] * shape[1] {
      for i in 0..<2 * height {
        for j in 0..<2 * width {
          y[(plane * 2 * height + i) * 2 * width + j] = x.storage[(plane * height + i / 2) * width + j / 2]
        }
      }
    }
    return Tensor(shape: shape, storage: y)  // [B, C, 2H, 2W]
  }

  /// dx[⌊i/2⌋, ⌊j/2⌋] += dy[i, j]
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func dUpsampleNearest(_ dOutput: Tensor<Reference>) -> Tensor<Reference> {
    precondition(
      dOutput.shape.rank == 4 && dOutput.shape[2] % 2 == 0 && dOutput.shape[3] % 2 == 0,
      "dUpsampleNearest: gradient \(dOutput.shape)")
    let (height, width) = (dOutput.shape[2] / 2, dOutput.shape[3] / 2)
    let shape: Shape = [dOutput.shape[0], dOutput.shape[1], height, width]
    var dx = [Scalar](repeating: 0, count: shape.count)
    for plane in 0..<shape[0] * shape[1] {
      for i in 0..<2 * height {
        for j in 0..<2 * width {
          dx[(plane * height + i / 2) * width + j / 2] += dOutput.storage[(plane * 2 * height + i) * 2 * width + j]
        }
      }
    }
    return Tensor(shape: shape, storage: dx)  // [B, C, H, W]
  }
}
