// All tables and the figure of a run.

import MVARPlots

/// What a run of Scripts/reproduce shows.
public struct MiniatureReport {
  /// Every table in Markdown, with its title.
  public let tables: [(title: String, text: String)]
  /// The losses during training, a plot for each size.
  public let figure: Figure

  /// The tables and the figure of some measurements.
  public init(_ measurements: [Measurement]) {
    let tables = MiniatureTables(measurements)
    self.tables = tables.sizes.flatMap { size in
      [
        ("\(size): quality", tables.quality(size)), ("\(size): beside MVAR", tables.comparison(size)),
        ("\(size): nats a token, scale by scale", tables.scales(size)), ("\(size): cost", tables.cost(size)),
      ]
    }
    figure = Figure(
      title: "Loss on held-out images during training", rows: tables.sizes.map { [.lines(tables.curves($0))] })
  }
}
