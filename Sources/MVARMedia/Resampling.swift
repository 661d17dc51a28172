// Resizing 8-bit images bit for bit as Pillow does: two passes, the horizontal one first, each rounded to bytes. Each
// pass is (Σ w · pixel + 2²¹) >> 22, clamped; a pass that changes nothing is skipped. Only the wanted part of the
// output is computed, row by row, and only as many rows of the first pass are held as the second one needs at once.

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
    guard horizontal != nil || vertical != nil else { return cropped(columns: columns, rows: rows) }
    let isVerticalFirst = order.isVerticalFirst(from: (self.width, self.height), to: (width, height))
    var bytes: [UInt8] = []
    bytes.reserveCapacity(3 * columns.count * rows.count)
    if let vertical, isVerticalFirst {
      let needed = horizontal?.inputRange ?? columns
      for place in 0..<rows.count {
        let parts = vertical.window(place).map { row in
          let start = 3 * (row * self.width + needed.lowerBound)
          return pixels[start..<(start + 3 * needed.count)]
        }
        let line = Self.combined(parts, vertical.weights(place))
        if let horizontal {
          Self.append(line, first: needed.lowerBound, horizontal, to: &bytes)
        } else {
          bytes += line
        }
      }
    } else {
      // Rows of the first pass that the second one still needs, by their place in a ring.
      var lines = [(row: Int, bytes: [UInt8])](repeating: (-1, []), count: vertical?.stride ?? 1)
      func line(_ row: Int) -> ArraySlice<UInt8> {
        guard let horizontal else {
          return pixels[(3 * (row * self.width + columns.lowerBound))..<(3 * (row * self.width + columns.upperBound))]
        }
        let place = row % lines.count
        if lines[place].row != row {
          lines[place].row = row
          lines[place].bytes.removeAll(keepingCapacity: true)
          let source = pixels[(3 * row * self.width)..<(3 * (row + 1) * self.width)]
          Self.append(source, first: 0, horizontal, to: &lines[place].bytes)
        }
        return lines[place].bytes[...]
      }
      for row in rows {
        guard let vertical else {
          bytes += line(row)
          continue
        }
        let place = row - rows.lowerBound
        bytes += Self.combined(vertical.window(place).map { line($0) }, vertical.weights(place))
      }
    }
    return PixelImage(trustedWidth: columns.count, height: rows.count, pixels: bytes)
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

  /// Appends a row after the horizontal pass.
  ///
  /// - Parameters:
  ///   - line: pixels of the row.
  ///   - first: the column of the first of them.
  ///   - taps: windows of columns.
  private static func append(
    _ line: some RandomAccessCollection<UInt8>, first: Int, _ taps: ResamplingTaps, to bytes: inout [UInt8]
  ) {
    line.withContiguousStorageIfAvailable { line in
      for column in taps.starts.indices {
        var (red, green, blue) = (half, half, half)
        var source = 3 * (taps.starts[column] - first)
        let start = column * taps.stride
        for tap in start..<(start + taps.counts[column]) {
          let weight = taps.weights[tap]
          red &+= weight &* Int32(line[source])
          green &+= weight &* Int32(line[source + 1])
          blue &+= weight &* Int32(line[source + 2])
          source += 3
        }
        bytes.append(byte(red))
        bytes.append(byte(green))
        bytes.append(byte(blue))
      }
    }
  }

  /// A row after the vertical pass: rows of equal length, each times its weight.
  private static func combined(_ lines: [ArraySlice<UInt8>], _ weights: ArraySlice<Int32>) -> [UInt8] {
    var sums = [Int32](repeating: half, count: lines[0].count)
    for (line, weight) in zip(lines, weights) {
      line.withUnsafeBufferPointer { line in
        for place in sums.indices { sums[place] &+= weight &* Int32(line[place]) }
      }
    }
    return sums.map { byte($0) }
  }
}

/// One half in fixed point: turns the shift's floor into rounding.
private let half: Int32 = 1 << (ResamplingTaps.fractionBits - 1)

/// A fixed-point sum as a byte. Weights sum to 1 and |weights| to at most 1.25, so 255 of them fit in 32 bits.
private func byte(_ sum: Int32) -> UInt8 {
  UInt8(clamping: sum >> Int32(ResamplingTaps.fractionBits))
}
