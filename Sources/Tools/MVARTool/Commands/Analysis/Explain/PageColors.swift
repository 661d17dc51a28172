// Colors for what has none: a cell of f̂ is Z numbers. It is shown in the color that a linear map of these numbers
// predicts, the one that fits the run's own decoded pictures best:
//
//     color of the picture under cell (i, j) ≈ W·f̂(i, j) + b        least squares over all scales and cells
//
// A code is shown in the color that a map filled with it has when it is decoded, or where decoding all codes would take
// minutes, in the color that the linear map gives it.

import Foundation
import MVAR
import MVARMedia
import TensorCore

/// A linear map from Z numbers to a color, 0 … 255.
struct PageColors {
  /// [3][Z + 1], the last number is the constant.
  private let weights: [[Double]]
  /// How much of the variance of the pictures' colors the map explains, at most 1.
  let explained: Double

  /// The map that fits a run's pictures best.
  init(_ run: ExplainedRun) {
    let (width, side) = (run.configuration.codeWidth, run.configuration.scaleList.lastSide)
    let size = width + 1
    var products = [[Double]](repeating: [Double](repeating: 0, count: size), count: size)  // Xᵀ X
    var targets = [[Double]](repeating: [Double](repeating: 0, count: size), count: 3)  // Xᵀ y
    var (sum, squares, count) = ([0.0, 0.0, 0.0], 0.0, 0.0)
    func visit(_ body: (_ cell: [Double], _ color: [Double]) -> Void) {
      for (values, image) in zip(run.sums, run.images) {
        for place in 0..<side * side {
          let cell = (0..<width).map { Double(values[$0 * side * side + place]) } + [1]
          body(cell, image.meanColor(row: place / side, column: place % side, of: side))
        }
      }
    }
    visit { cell, color in
      for i in 0..<size {
        for j in 0...i { products[i][j] += cell[i] * cell[j] }
        for c in 0..<3 { targets[c][i] += cell[i] * color[c] }
      }
      for c in 0..<3 {
        sum[c] += color[c]
        squares += color[c] * color[c]
      }
      count += 1
    }
    // A little ridge, since a run may leave directions unused.
    let trace = (0..<size).reduce(0) { $0 + products[$1][$1] }
    for i in 0..<size {
      for j in i + 1..<max(size, i + 1) { products[i][j] = products[j][i] }
      products[i][i] += 1e-6 * trace / Double(size) + 1e-12
    }
    let solved = targets.map { Self.solve(products, $0) }
    var rest = 0.0
    visit { cell, color in
      for c in 0..<3 {
        let error = zip(solved[c], cell).reduce(0) { $0 + $1.0 * $1.1 } - color[c]
        rest += error * error
      }
    }
    let variance = squares - sum.reduce(0) { $0 + $1 * $1 } / count
    weights = solved
    explained = variance > 0 ? max(0, 1 - rest / variance) : 1
  }

  /// The colors of cells, three bytes each.
  ///
  /// - Parameters:
  ///   - values: [N, Z], or [Z, N] where the numbers of a cell are apart.
  func bytes(_ values: [Float], isPlanar: Bool = false) -> [UInt8] {
    let width = weights[0].count - 1
    let count = values.count / width
    return (0..<count).flatMap { cell in
      weights.map { row in
        var color = row[width]
        for z in 0..<width { color += row[z] * Double(values[isPlanar ? z * count + cell : cell * width + z]) }
        return UInt8(min(max(color.rounded(), 0), 255))
      }
    }
  }

  /// The solution of a symmetric positive system, by Gaussian elimination.
  private static func solve(_ matrix: [[Double]], _ right: [Double]) -> [Double] {
    var (rows, x) = (matrix, right)
    for i in x.indices {
      let pivot = x.indices[i...].max { abs(rows[$0][i]) < abs(rows[$1][i]) } ?? i
      rows.swapAt(i, pivot)
      x.swapAt(i, pivot)
      for j in x.indices[(i + 1)...] {
        let factor = rows[j][i] / rows[i][i]
        guard factor != 0 else { continue }
        for k in i..<x.count { rows[j][k] -= factor * rows[i][k] }
        x[j] -= factor * x[i]
      }
    }
    for i in x.indices.reversed() {
      for k in x.indices[(i + 1)...] { x[i] -= rows[i][k] * x[k] }
      x[i] /= rows[i][i]
    }
    return x
  }
}

extension PageColors {
  /// What every code looks like [V, 3], and whether codes were decoded for it.
  func codes<B: Backend>(of tokenizer: VQVAE<B>, by files: String) throws -> (bytes: [UInt8], areDecoded: Bool) {
    let configuration = tokenizer.configuration
    let codebook = tokenizer.quantizer.codebook.weight.value  // [V, Z]
    let side = min(configuration.scaleList.lastSide, 8)
    let share = pow(Double(side) / Double(configuration.scaleList.lastSide), 2)
    let products = TokenizerCost(configuration).decodingProducts * share * Double(configuration.vocabulary)
    guard products <= 2e11 else { return (bytes(try codebook.scalars().map { Float($0) }), false) }
    var result: [UInt8] = []
    let most = max(1, Int(Double(configuration.imagesPerDecoding) / share))
    for start in stride(from: 0, to: configuration.vocabulary, by: most) {
      let rows = start..<min(start + most, configuration.vocabulary)
      let vectors = try B.slice(codebook, axis: 0, rows).scalars()
      // Each number fills a plane: [rows, Z, side, side].
      let maps = vectors.flatMap { [B.Scalar](repeating: $0, count: side * side) }
      let input = try Tensor<B>(
        maps, shape: [rows.count, configuration.codeWidth, side, side], on: codebook.device)
      for image in try ImageOptions.parse([]).images(tokenizer.decode(Variable(input)).value, by: files) {
        // The middle: padding colors the border.
        result += image.meanColor(
          rows: image.height / 4..<max(3 * image.height / 4, image.height / 4 + 1),
          columns: image.width / 4..<max(3 * image.width / 4, image.width / 4 + 1)
        ).map { UInt8($0.rounded()) }
      }
    }
    return (result, true)
  }
}

extension PixelImage {
  /// The mean color under a cell of a map of side × side cells: red, green, blue, 0 … 255.
  func meanColor(row: Int, column: Int, of side: Int) -> [Double] {
    meanColor(
      rows: row * height / side..<max((row + 1) * height / side, row * height / side + 1),
      columns: column * width / side..<max((column + 1) * width / side, column * width / side + 1))
  }

  /// The mean color of a part of the image.
  func meanColor(rows: Range<Int>, columns: Range<Int>) -> [Double] {
    var sum = [0.0, 0.0, 0.0]
    for row in rows {
      for column in columns {
        let color = self[row: row, column: column]
        sum[0] += Double(color.red)
        sum[1] += Double(color.green)
        sum[2] += Double(color.blue)
      }
    }
    return sum.map { $0 / Double(rows.count * columns.count) }
  }
}
