// The rows of a PNG image: filters undone (PNG specification, section 9), interlaced passes put in their places (section
// 8), and every kind of pixel turned into red, green and blue at once, so that no more than two rows are ever held in
// the file's own form.

import MVARFiles

/// The image under construction.
struct PNGRows {
  /// How a stored pixel becomes three bytes.
  private enum Conversion {
    /// A table of 3 · 2^bits bytes; several pixels in a byte, the first in the highest bits.
    case table([UInt8], bits: Int)
    /// Bytes per pixel, and which of them are red, green and blue.
    case bytes(Int, red: Int, green: Int, blue: Int)
    /// 16-bit gray, clipped at 255.
    case clippedGray
  }

  /// A pass of an interlaced image; an image that is not has one pass of all pixels.
  private struct Pass {
    let left: Int
    let top: Int
    let right: Int
    let down: Int
  }

  /// The filter's number and the row, in the file's form.
  var line: [UInt8]
  /// Bytes of ``line`` that are known.
  var filled = 0
  /// Bytes of a row with its filter's number, in the current pass.
  private(set) var lineLength: Int
  /// All rows are there.
  private(set) var isComplete = false
  /// Red, green and blue of every pixel.
  private(set) var pixels: [UInt8]

  private var previous: [UInt8]
  private let conversion: Conversion
  private let bits: Int
  private let width: Int
  /// The rectangle that is filled.
  private let columns: Range<Int>
  private let rows: Range<Int>
  private let passes: [Pass]
  private var pass = 0
  private var row: Int

  /// An image without pixels.
  ///
  /// - Throws: `FileError` for a palette that cannot be used.
  init(_ header: PNGHeader, subject: String) throws(FileError) {
    var background: [UInt8] = [0, 0, 0]
    switch (header.colorType ?? 0, header.bitDepth) {
    case (3, let depth):
      if header.palette == nil && header.hasTransparentEntry {
        throw FileError(subject, "is a damaged PNG file: it lacks the palette that its transparency belongs to")
      }
      var table = header.palette ?? []
      guard table.count / 3 <= 256 else {
        throw FileError(subject, "is a damaged PNG file: its palette has more than 256 colors")
      }
      table.removeLast(table.count % 3)
      table += [UInt8](repeating: 0, count: 3 * 256 - table.count)
      background = Array(table[..<3])
      conversion = .table(table, bits: depth)
    case (0, 16): conversion = .clippedGray
    case (0, 8): conversion = .bytes(1, red: 0, green: 0, blue: 0)
    case (0, let depth):
      let most = 1 << depth - 1
      conversion = .table((0...most).flatMap { [UInt8](repeating: UInt8($0 * 255 / most), count: 3) }, bits: depth)
    case (let type, let depth):
      let size = depth / 8
      let count = type == 2 ? 3 : type == 4 ? 2 : 4
      conversion =
        type == 4
        ? .bytes(count * size, red: 0, green: 0, blue: 0) : .bytes(count * size, red: 0, green: size, blue: 2 * size)
    }
    bits = header.bits
    width = header.width
    let (columns, rows) = header.frame ?? (0..<header.width, 0..<header.height)
    // As in Pillow, an interlaced frame is not moved to its place.
    self.columns = header.isInterlaced ? 0..<columns.count : columns
    self.rows = header.isInterlaced ? 0..<rows.count : rows
    passes =
      header.isInterlaced
      ? [
        Pass(left: 0, top: 0, right: 8, down: 8), Pass(left: 4, top: 0, right: 8, down: 8),
        Pass(left: 0, top: 4, right: 4, down: 8), Pass(left: 2, top: 0, right: 4, down: 4),
        Pass(left: 0, top: 2, right: 2, down: 4), Pass(left: 1, top: 0, right: 2, down: 2),
        Pass(left: 0, top: 1, right: 1, down: 2),
      ] : [Pass(left: 0, top: 0, right: 1, down: 1)]
    row = 0
    let longest = (columns.count * bits + 7) / 8 + 1
    line = [UInt8](repeating: 0, count: longest)
    previous = line
    pixels = [UInt8](repeating: background[0], count: 3 * header.width * header.height)
    if background[1] != background[0] || background[2] != background[0] {
      for place in stride(from: 0, to: pixels.count, by: 3) {
        (pixels[place + 1], pixels[place + 2]) = (background[1], background[2])
      }
    }
    lineLength = 0
    lineLength = length(of: 0)
  }

  private func pixelCount(of pass: Int) -> Int {
    let pass = passes[pass]
    return max((columns.count - pass.left + pass.right - 1) / pass.right, 0)
  }

  private func length(of pass: Int) -> Int { (pixelCount(of: pass) * bits + 7) / 8 + 1 }

  /// Takes the row in ``line``, which is complete, and prepares for the next one.
  ///
  /// - Throws: `FileError` for an unknown filter.
  mutating func take(_ subject: String) throws(FileError) {
    let filter = line[0]
    guard filter <= 4 else { throw FileError(subject, "is a damaged PNG file: a row has the unknown filter \(filter)") }
    PNGRows.unfilter(&line, previous, length: lineLength, distance: (bits + 7) / 8)
    place()
    filled = 0
    row += passes[pass].down
    var isFirst = false
    while row >= rows.count || lineLength <= 1 {
      pass += 1
      if pass == passes.count {
        isComplete = true
        return
      }
      row = passes[pass].top
      lineLength = length(of: pass)
      isFirst = true
    }
    if isFirst { for place in line.indices { line[place] = 0 } }
    swap(&line, &previous)
  }

  /// Undoes the filter of a row in place; `line[0]` is the filter's number, and `previous` is the row above.
  private static func unfilter(_ line: inout [UInt8], _ previous: [UInt8], length: Int, distance: Int) {
    switch line[0] {
    case 1:
      var place = distance + 1
      while place < length {
        line[place] &+= line[place - distance]
        place += 1
      }
    case 2:
      for place in 1..<length { line[place] &+= previous[place] }
    case 3:
      for place in 1..<length {
        let left = place > distance ? Int(line[place - distance]) : 0
        line[place] &+= UInt8((left + Int(previous[place])) / 2)
      }
    case 4:
      for place in 1..<length {
        let left = place > distance ? Int(line[place - distance]) : 0
        let above = Int(previous[place])
        let corner = place > distance ? Int(previous[place - distance]) : 0
        let (toLeft, toAbove) = (abs(above - corner), abs(left - corner))
        let toCorner = abs(left + above - 2 * corner)
        let nearest = toLeft <= toAbove && toLeft <= toCorner ? left : toAbove <= toCorner ? above : corner
        line[place] &+= UInt8(nearest)
      }
    default: break
    }
  }

  /// Converts the row's pixels and puts them in their places.
  private mutating func place() {
    let count = pixelCount(of: pass)
    let step = 3 * passes[pass].right
    var target = 3 * ((rows.lowerBound + row) * width + columns.lowerBound + passes[pass].left)
    switch conversion {
    case .table(let table, let bits):
      let mask = 1 << bits - 1
      for pixel in 0..<count {
        let bit = pixel * bits
        let value = Int(line[1 + bit >> 3]) >> (8 - bits - bit & 7) & mask
        pixels[target] = table[3 * value]
        pixels[target + 1] = table[3 * value + 1]
        pixels[target + 2] = table[3 * value + 2]
        target += step
      }
    case .bytes(let size, let red, let green, let blue):
      var source = 1
      for _ in 0..<count {
        pixels[target] = line[source + red]
        pixels[target + 1] = line[source + green]
        pixels[target + 2] = line[source + blue]
        source += size
        target += step
      }
    case .clippedGray:
      for pixel in 0..<count {
        let value = line[1 + 2 * pixel] == 0 ? line[2 + 2 * pixel] : 255
        pixels[target] = value
        pixels[target + 1] = value
        pixels[target + 2] = value
        target += step
      }
    }
  }
}
