// Resizing 8-bit images bit for bit as Pillow does: two passes, the horizontal one first, each rounded to bytes. Each
// pass is (Σ w · pixel + 2²¹) >> 22, clamped; a pass that changes nothing is skipped. Only the wanted part of the
// output is computed, from the rows and columns that this part depends on, so a thin image never produces a huge
// intermediate one.

import MVARFiles

extension PixelImage {
  /// The image at another size.
  ///
  /// - Parameters:
  ///   - width: columns of the result.
  ///   - height: rows of the result.
  ///   - filter: box or bicubic.
  ///   - order: which pass comes first.
  /// - Throws: `FileError` when the new size, or the intermediate one, is outside ``ImageLimits``.
  public func resized(
    width: Int, height: Int, filter: ResamplingFilter, order: ResamplingOrder = .pillow13
  ) throws(FileError) -> PixelImage {
    try ImageLimits.check(width: width, height: height, of: "the resized image")
    if order.isVerticalFirst(from: (self.width, self.height), to: (width, height)) {
      try ImageLimits.check(width: self.width, height: height, of: "the half-resized image")
    } else {
      try ImageLimits.check(width: width, height: self.height, of: "the half-resized image")
    }
    return resampled(
      width: width, height: height, columns: 0..<width, rows: 0..<height, filter: filter, order: order)
  }

  /// The part `rows` × `columns` of the image resized to `width` × `height`, which may be of any size.
  func resampled(
    width: Int, height: Int, columns: Range<Int>, rows: Range<Int>, filter: ResamplingFilter, order: ResamplingOrder
  ) -> PixelImage {
    // nil: this axis keeps its size and its pass is skipped.
    let horizontal =
      width == self.width
      ? nil : ResamplingTaps(inputSize: self.width, outputSize: width, places: columns, filter: filter)
    let vertical =
      height == self.height
      ? nil : ResamplingTaps(inputSize: self.height, outputSize: height, places: rows, filter: filter)
    let neededColumns = horizontal?.inputRange ?? columns
    let neededRows = vertical?.inputRange ?? rows

    var result = cropped(columns: neededColumns, rows: neededRows)
    let isVerticalFirst = order.isVerticalFirst(from: (self.width, self.height), to: (width, height))
    if isVerticalFirst, let vertical { result = result.verticallyResampled(vertical) }
    if let horizontal { result = result.horizontallyResampled(horizontal) }
    if !isVerticalFirst, let vertical { result = result.verticallyResampled(vertical) }
    return result
  }

  /// A rectangle of the image; the ranges must lie inside and not be empty.
  func cropped(columns: Range<Int>, rows: Range<Int>) -> PixelImage {
    if columns == 0..<width && rows == 0..<height { return self }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(3 * columns.count * rows.count)
    for row in rows {
      bytes += pixels[(3 * (row * width + columns.lowerBound))..<(3 * (row * width + columns.upperBound))]
    }
    return PixelImage(trustedWidth: columns.count, height: rows.count, pixels: bytes)
  }

  /// - Parameter taps: their input range starts with this image's first column.
  private func horizontallyResampled(_ taps: ResamplingTaps) -> PixelImage {
    let newWidth = taps.starts.count
    var bytes = [UInt8](repeating: 0, count: 3 * newWidth * height)
    for row in 0..<height {
      for column in 0..<newWidth {
        var (red, green, blue) = (half, half, half)
        var source = 3 * (row * width + taps.starts[column] - taps.inputRange.lowerBound)
        let first = column * taps.stride
        for tap in first..<(first + taps.counts[column]) {
          let weight = taps.weights[tap]
          red &+= weight &* Int32(pixels[source])
          green &+= weight &* Int32(pixels[source + 1])
          blue &+= weight &* Int32(pixels[source + 2])
          source += 3
        }
        let target = 3 * (row * newWidth + column)
        bytes[target] = byte(red)
        bytes[target + 1] = byte(green)
        bytes[target + 2] = byte(blue)
      }
    }
    return PixelImage(trustedWidth: newWidth, height: height, pixels: bytes)
  }

  /// - Parameter taps: their input range starts with this image's first row.
  private func verticallyResampled(_ taps: ResamplingTaps) -> PixelImage {
    let newHeight = taps.starts.count
    let rowBytes = 3 * width
    var bytes = [UInt8](repeating: 0, count: rowBytes * newHeight)
    var sums = [Int32](repeating: 0, count: rowBytes)
    for row in 0..<newHeight {
      for place in 0..<rowBytes { sums[place] = half }
      for tap in 0..<taps.counts[row] {
        let weight = taps.weights[row * taps.stride + tap]
        let source = (taps.starts[row] - taps.inputRange.lowerBound + tap) * rowBytes
        for place in 0..<rowBytes { sums[place] &+= weight &* Int32(pixels[source + place]) }
      }
      for place in 0..<rowBytes { bytes[row * rowBytes + place] = byte(sums[place]) }
    }
    return PixelImage(trustedWidth: width, height: newHeight, pixels: bytes)
  }
}

/// One half in fixed point: turns the shift's floor into rounding.
private let half: Int32 = 1 << (ResamplingTaps.fractionBits - 1)

/// A fixed-point sum as a byte. Weights sum to 1 and |weights| to at most 1.25, so 255 of them fit in 32 bits.
private func byte(_ sum: Int32) -> UInt8 {
  UInt8(clamping: sum >> Int32(ResamplingTaps.fractionBits))
}
