// All tables and the figure of a run, and the article that shows them.

import MVARPlots

/// What a run of Scripts/reproduce shows.
public struct MiniatureReport {
  /// Every table in Markdown, with its name.
  public let tables: [(name: String, text: String)]
  /// The losses during training, a plot for each size.
  public let figure: Figure

  /// The tables and the figure of some measurements.
  public init(_ measurements: [Measurement]) {
    let tables = MiniatureTables(measurements)
    self.tables = tables.sizes.flatMap { size in
      [
        ("\(size), quality", tables.quality(size)), ("\(size), beside MVAR", tables.comparison(size)),
        ("\(size), nats a token of a scale", tables.scales(size)), ("\(size), cost", tables.cost(size)),
      ]
    }
    figure = Figure(
      title: "Loss on held-out images during training", rows: tables.sizes.map { [.lines(tables.curves($0))] })
  }

  /// An article with its tables as they are now: each stands between `<!-- generated: NAME -->` and `<!-- end -->`.
  ///
  /// - Throws: `MiniatureError` where the article wants a table that there is not, or a part does not end.
  public func updating(_ article: String) throws -> String {
    var (rest, result) = (article[...], "")
    while let begin = rest.firstRange(of: "<!-- generated: ") {
      guard let close = rest[begin.upperBound...].firstRange(of: " -->"),
        let end = rest[close.upperBound...].firstRange(of: "<!-- end -->")
      else { throw MiniatureError(description: "a generated part does not end") }
      let name = rest[begin.upperBound..<close.lowerBound]
      guard let table = tables.first(where: { $0.name == name }) else {
        throw MiniatureError(description: "there is no table \"\(name)\"")
      }
      result += rest[..<close.upperBound] + "\n" + table.text + "\n" + rest[end]
      rest = rest[end.upperBound...]
    }
    return result + rest
  }
}
