// The generated parts of the article: each stands between `<!-- generated: NAME -->` and `<!-- end -->`.

import Foundation
import MVARPlots

/// The article "The paper in miniature" and its figure.
public struct MiniatureArticle {
  /// Every part by its name.
  public let parts: [(name: String, text: String)]
  /// The curves.
  public let figure: Figure

  /// The parts that measurements give.
  public init(_ measurements: [Measurement]) {
    let tables = MiniatureTables(measurements)
    parts = tables.sizes.flatMap { size in
      [
        ("\(size) quality", tables.quality(size)), ("\(size) comparison", tables.comparison(size)),
        ("\(size) scales", tables.scales(size)), ("\(size) cost", tables.cost(size)),
      ]
    }
    figure = Figure(
      title: "Loss on held-out images during training", rows: tables.sizes.map { [.lines(tables.curves($0))] })
  }

  /// The article with its parts written anew.
  ///
  /// - Throws: `MiniatureError` when it has no place for a part.
  public func written(into text: String) throws -> String {
    var text = text
    for (name, part) in parts {
      guard let begin = text.range(of: "<!-- generated: \(name) -->\n"),
        let end = text.range(of: "<!-- end -->", range: begin.upperBound..<text.endIndex)
      else { throw MiniatureError(description: "the article has no place for the part \(name)") }
      text.replaceSubrange(begin.upperBound..<end.lowerBound, with: part + "\n")
    }
    return text
  }
}
