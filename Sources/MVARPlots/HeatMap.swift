// An image of a table of numbers: a cell for each, the darker the larger, with the number written in where it fits.
//
// Rows run from top to bottom and columns from left to right, as in the table. Drawn as `LinePlot` is, without anything of
// the system's. There is no legend of colors: the numbers in the cells say more, and the caller names the range.

import MVARFiles
import MVARMedia

/// A table of numbers as colored cells.
public struct HeatMap: Sendable {
  /// The line above the image.
  public var title: String
  /// What the columns are.
  public var xLabel: String
  /// What the rows are.
  public var yLabel: String
  /// The numbers, row after row, all rows equally long; nil or what is not finite leaves an empty cell.
  public var values: [[Double?]]
  /// What stands below each column and left of each row; names that do not fit are left out evenly.
  public var names: (columns: [String], rows: [String]) = ([], [])
  /// What is written into each cell, if all of it fits; nothing by default.
  public var texts: [[String]] = []
  /// The numbers of the lightest and the darkest color; others get the nearer of the two.
  public var range: ClosedRange<Double>
  /// The image's width in pixels.
  public var width = 640
  /// The image's height in pixels.
  public var height = 560
  /// How many pixels a dot of the letters is wide.
  public var textScale = 2

  /// A heat map; names, texts and size can be set afterwards.
  ///
  /// - Parameter range: the numbers of the lightest and the darkest color; from 0 to the largest number when not given.
  public init(
    title: String, xLabel: String, yLabel: String, values: [[Double?]], range: ClosedRange<Double>? = nil
  ) {
    self.title = title
    self.xLabel = xLabel
    self.yLabel = yLabel
    self.values = values
    let largest = values.joined().compactMap { $0 }.filter(\.isFinite).max() ?? 0
    self.range = range ?? 0...(largest > 0 ? largest : 1)
  }

  /// The color of an empty cell.
  public static let emptyColor = PixelImage.Color.white
  /// From the lightest to the darkest: lighter is less for every eye, and in gray print.
  private static let colors: [PixelImage.Color] = [
    .init(red: 241, green: 246, blue: 251), .init(red: 158, green: 202, blue: 225),
    .init(red: 49, green: 130, blue: 189), .init(red: 8, green: 48, blue: 107),
  ]

  /// The color of a share of the range: 0 the lightest, 1 the darkest.
  public static func color(of share: Double) -> PixelImage.Color {
    let place = min(max(share, 0), 1) * Double(colors.count - 1)
    let lower = min(Int(place), colors.count - 2)
    return colors[lower].mixed(with: colors[lower + 1], share: place - Double(lower))
  }

  /// The color of a number.
  public func color(of value: Double?) -> PixelImage.Color {
    guard let value, value.isFinite else { return HeatMap.emptyColor }
    let span = range.upperBound - range.lowerBound
    return HeatMap.color(of: span > 0 ? (value - range.lowerBound) / span : 0)
  }

  /// Where the cells lie: the pixels of each column and of each row.
  ///
  /// - Throws: `FileError` when the table is empty or not rectangular, names or texts are not as many, or the size is
  ///   outside ``ImageLimits`` or too small for the labels.
  public func cells() throws(FileError) -> (columns: [Range<Int>], rows: [Range<Int>]) {
    try ImageLimits.check(width: width, height: height, of: "the heat map")
    let (rowCount, columnCount) = (values.count, values.first?.count ?? 0)
    guard rowCount > 0, columnCount > 0, values.allSatisfy({ $0.count == columnCount }) else {
      throw FileError("the heat map", "needs rows of the same number of columns, at least one of each")
    }
    let fits =
      (names.columns.isEmpty || names.columns.count == columnCount)
      && (names.rows.isEmpty || names.rows.count == rowCount)
      && (texts.isEmpty || texts.count == rowCount && texts.allSatisfy { $0.count == columnCount })
    guard fits else {
      throw FileError("the heat map of \(rowCount) × \(columnCount) cells", "has another number of names or texts")
    }
    let text = letters
    let nameWidth = names.rows.map { BitmapFont.width(of: $0, scale: text) }.max() ?? 0
    let left = nameWidth + (yLabel.isEmpty ? 0 : line) + 10 * text
    let right = width - 8 * text
    let top = line + 7 * text
    let bottom = height - 2 * line - 6 * text
    guard right - left >= max(40, columnCount), bottom - top >= max(40, rowCount) else {
      throw FileError(
        "the heat map of \(width) × \(height) pixels",
        "is too small for its labels and \(rowCount) × \(columnCount) cells")
    }
    func parts(_ count: Int, _ start: Int, _ end: Int) -> [Range<Int>] {
      (0..<count).map { start + $0 * (end - start) / count..<start + ($0 + 1) * (end - start) / count }
    }
    return (parts(columnCount, left, right), parts(rowCount, top, bottom))
  }

  /// The heat map as an image.
  ///
  /// - Throws: `FileError` as ``cells()`` does.
  public func draw() throws(FileError) -> PixelImage {
    let (columns, rows) = try cells()
    var image = try PixelImage(width: width, height: height, filledWith: .white)
    for (row, pixelRows) in rows.enumerated() {
      for (column, pixelColumns) in columns.enumerated() {
        let color = color(of: values[row][column])
        for y in pixelRows { for x in pixelColumns { image[row: y, column: x] = color } }
      }
    }
    drawFrame(into: &image, columns, rows)
    drawTexts(into: &image, columns, rows)

    let text = letters
    let (left, right) = (columns[0].lowerBound, columns[columns.count - 1].upperBound)
    let (top, bottom) = (rows[0].lowerBound, rows[rows.count - 1].upperBound)
    func write(_ words: String, _ x: Int, _ y: Int) {
      BitmapFont.draw(words, into: &image, x: x, y: y, color: .ink, scale: text)
    }
    write(title, left, 4 * text)
    write(xLabel, (left + right - BitmapFont.width(of: xLabel, scale: text)) / 2, height - line)
    BitmapFont.draw(
      yLabel, into: &image, x: 3 * text, y: (top + bottom + BitmapFont.width(of: yLabel, scale: text)) / 2,
      color: .ink, scale: text, isRotated: true)
    let widest = names.columns.map { BitmapFont.width(of: $0, scale: text) }.max() ?? 0
    for index in shown(names.columns.count, each: columns[0].count, needed: widest + 3 * text) {
      let middle = (columns[index].lowerBound + columns[index].upperBound) / 2
      let name = names.columns[index]
      write(name, middle - BitmapFont.width(of: name, scale: text) / 2, bottom + 4 * text)
    }
    for index in shown(names.rows.count, each: rows[0].count, needed: (BitmapFont.height + 2) * text) {
      let middle = (rows[index].lowerBound + rows[index].upperBound) / 2
      let name = names.rows[index]
      write(name, left - 4 * text - BitmapFont.width(of: name, scale: text), middle - BitmapFont.height * text / 2)
    }
    return image
  }

  /// How many pixels a dot of the labels is wide.
  private var letters: Int { max(textScale, 1) }
  /// The height of a line of labels.
  private var line: Int { (BitmapFont.height + BitmapFont.descent + 3) * letters }

  /// Every name, or every second, third … where they would touch.
  private func shown(_ count: Int, each: Int, needed: Int) -> [Int] {
    Array(stride(from: 0, to: count, by: max((needed + each - 1) / max(each, 1), 1)))
  }

  /// The line around all cells, and thin ones between cells that are large enough.
  private func drawFrame(into image: inout PixelImage, _ columns: [Range<Int>], _ rows: [Range<Int>]) {
    let (left, right) = (columns[0].lowerBound, columns[columns.count - 1].upperBound)
    let (top, bottom) = (rows[0].lowerBound, rows[rows.count - 1].upperBound)
    if columns[0].count >= 8 && rows[0].count >= 8 {
      for column in columns.dropFirst() { for y in top..<bottom { image[row: y, column: column.lowerBound] = .grid } }
      for row in rows.dropFirst() { for x in left..<right { image[row: row.lowerBound, column: x] = .grid } }
    }
    for x in left - 1...right { for y in [top - 1, bottom] { image[row: y, column: x] = .frame } }
    for y in top - 1...bottom { for x in [left - 1, right] { image[row: y, column: x] = .frame } }
  }

  /// Writes the cells' texts in the largest letters in which all of them fit, or not at all.
  private func drawTexts(into image: inout PixelImage, _ columns: [Range<Int>], _ rows: [Range<Int>]) {
    let longest = texts.joined().max { $0.count < $1.count } ?? ""
    let (cellWidth, cellHeight) = (columns.map(\.count).min() ?? 0, rows.map(\.count).min() ?? 0)
    let scale = (1...letters).last {
      BitmapFont.width(of: longest, scale: $0) + 4 * $0 <= cellWidth && (BitmapFont.height + 4) * $0 <= cellHeight
    }
    guard let scale, !longest.isEmpty else { return }
    for (row, line) in texts.enumerated() {
      for (column, words) in line.enumerated() {
        let ground = color(of: values[row][column])
        let isDark = 3 * Int(ground.red) + 6 * Int(ground.green) + Int(ground.blue) < 1400
        let across = columns[column].lowerBound + columns[column].upperBound - BitmapFont.width(of: words, scale: scale)
        let down = rows[row].lowerBound + rows[row].upperBound - BitmapFont.height * scale
        BitmapFont.draw(
          words, into: &image, x: across / 2, y: down / 2, color: isDark ? .white : .ink, scale: scale)
      }
    }
  }
}
