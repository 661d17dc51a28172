// The three products of a linear layer with both factors in single precision, rounded to bf16 on the way into the tiles;
// sums in float32. For training: weights, gradients and everything else that is kept stay in single precision.
//
//     y = x Wᵀ + b     pairs along the inputs
//     dx = dy W        pairs along the outputs
//     dW = dyᵀ x       pairs along the rows of tokens
//
// A pair is two neighbors along the summed axis: of a row where that axis is contiguous, otherwise of two rows. Which of
// two products comes first is the same on every processor (`ShortLanes.swift`), and so are the bits.

import CMVARProcessor

/// Products of rounded factors.
package enum RoundedProduct {
  /// y = x Wᵀ + b: x rows × inputs, W outputs × inputs, b [outputs] or nil for none.
  ///
  /// - Parameter elements: `pairs` or `plainPairs`; the fastest way of this processor by default.
  package static func linear(
    _ x: UnsafePointer<Float>, _ weight: UnsafePointer<Float>, _ bias: UnsafePointer<Float>?,
    _ y: UnsafeMutablePointer<Float>, rows: Int, inputs: Int, outputs: Int, elements: ProductElements = .of(.bf16)
  ) {
    let words = (inputs + 1) / 2
    withPairs(weight, rows: outputs, columns: inputs, elements) { weight in
      withPairs(x, rows: rows, columns: inputs, elements) { x in
        TiledProduct.multiply(
          StridedMatrix(rows: weight, stride: words), StridedMatrix(transposeOf: x, stride: words), rows: outputs,
          depth: words, columns: rows, elements: elements
        ) { $0.transpose(to: y, stride: outputs, bias: bias) }
      }
    }
  }

  /// dx = dy W: dy rows × outputs.
  package static func inputGradient(
    _ dY: UnsafePointer<Float>, _ weight: UnsafePointer<Float>, _ dX: UnsafeMutablePointer<Float>, rows: Int,
    inputs: Int, outputs: Int, elements: ProductElements = .of(.bf16)
  ) {
    let words = (outputs + 1) / 2
    withPairs(dY, rows: rows, columns: outputs, elements) { dY in
      withRowPairs(weight, rows: outputs, columns: inputs, elements) { weight in
        TiledProduct.multiply(
          StridedMatrix(rows: dY, stride: words), StridedMatrix(rows: weight, stride: inputs), rows: rows, depth: words,
          columns: inputs, elements: elements
        ) { $0.copy(to: dX, stride: inputs) }
      }
    }
  }

  /// dW = dyᵀ x.
  package static func weightGradient(
    _ dY: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ dWeight: UnsafeMutablePointer<Float>, rows: Int,
    inputs: Int, outputs: Int, elements: ProductElements = .of(.bf16)
  ) {
    withRowPairs(dY, rows: rows, columns: outputs, elements) { dY in
      withRowPairs(x, rows: rows, columns: inputs, elements) { x in
        TiledProduct.multiply(
          StridedMatrix(transposeOf: dY, stride: outputs), StridedMatrix(rows: x, stride: inputs), rows: outputs,
          depth: (rows + 1) / 2, columns: inputs, elements: elements
        ) { $0.copy(to: dWeight, stride: inputs) }
      }
    }
  }

  // MARK: Rounding

  /// Calls `body` with words of two neighbors of a row, ⌈columns/2⌉ to a row.
  private static func withPairs(
    _ x: UnsafePointer<Float>, rows: Int, columns: Int, _ elements: ProductElements,
    _ body: (UnsafePointer<Float>) -> Void
  ) {
    let (words, isPlain) = ((columns + 1) / 2, elements == .plainPairs)
    withScratch(rows * words) { (pairs: UnsafeMutablePointer<Float>) in
      parallel(rows, grain: rowsPerPiece(columns)) { some in
        for row in some {
          ShortProduct.putPairs(
            x + row * columns, columns, UnsafeMutableRawPointer(pairs + row * words), words: words, isPlain: isPlain)
        }
      }
      body(pairs)
    }
  }

  /// Calls `body` with words of two rows, ⌈rows/2⌉ rows of them; a missing last row is zeros.
  private static func withRowPairs(
    _ x: UnsafePointer<Float>, rows: Int, columns: Int, _ elements: ProductElements,
    _ body: (UnsafePointer<Float>) -> Void
  ) {
    let hasInstruction = ProductElements.hasInstructions && elements == .pairs
    withScratch((rows + 1) / 2 * columns) { (pairs: UnsafeMutablePointer<Float>) in
      parallel((rows + 1) / 2, grain: rowsPerPiece(2 * columns)) { some in
        for row in some {
          let (first, target) = (x + 2 * row * columns, UnsafeMutableRawPointer(pairs + row * columns))
          let second = 2 * row + 1 < rows ? first + columns : nil
          var i = 0
          if let second, hasInstruction {
            while i + 16 <= columns {
              putRowPairs16(first + i, second + i, target + 4 * i)
              i += 16
            }
          }
          while i + 16 <= columns {
            let pairs = roundedPairs16(sixteen(first, i), second.map { sixteen($0, i) } ?? .zero)
            target.storeBytes(of: pairs, toByteOffset: 4 * i, as: SIMD16<UInt32>.self)
            i += 16
          }
          for i in i..<columns {
            let upper = second.map { UInt32(bfloat16($0[i])) } ?? 0
            target.storeBytes(of: UInt32(bfloat16(first[i])) | upper << 16, toByteOffset: 4 * i, as: UInt32.self)
          }
        }
      }
      body(pairs)
    }
  }
}
