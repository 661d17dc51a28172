// The report as Markdown: one table for each measure. Columns are padded, so that it also reads well as plain text.
// Values are rounded for people; the JSON has all digits.

import Foundation
import MVARFiles

extension EvaluationReport {
  /// The report as text.
  public var markdown: String {
    var parts = [tokenizerText]
    if let classes { parts.append(text(of: classes)) }
    if let novelty { parts.append(text(of: novelty)) }
    return parts.joined(separator: "\n")
  }

  private var tokenizerText: String {
    let scales = tokenizer.sides.indices.map { scale in
      let side = tokenizer.sides[scale]
      return ["\(scale)", "\(side) × \(side)", Self.percent(tokenizer.codesUsed[scale])]
    }
    return """
      ## Tokenizer

      \(trainingCount) training and \(heldOutCount) held-out images of \(classNames.count) classes. \
      Reconstruction: \(Self.decibels(tokenizer.heldOutPSNR)) on held-out images, \
      \(Self.decibels(tokenizer.trainingPSNR)) on training images.

      \(Self.table(
        ["scale", "map", "codes used"], scales + [["any", "", Self.percent(tokenizer.codesUsedAnywhere)]]))

      """
  }

  private func text(of classes: Classes) -> String {
    let scores = [classes.training, classes.heldOut, classes.reconstructions, classes.samples]
    var rows = classNames.indices.map { label in
      [Self.cell(classNames[label])]
        + scores.map { $0.counts[label] == 0 ? "–" : "\($0.hits[label]) of \($0.counts[label])" }
    }
    rows.append(["all"] + scores.map { Self.percent($0.accuracy) })
    let sampled = sampling.keys.sorted().map { "\($0) \(sampling[$0]!)" }.joined(separator: ", ")
    return """
      ## Classes

      How many images a small classifier, trained on the training images, classifies correctly. \
      Sampling options: \(sampled).

      \(Self.table(["class", "training", "held out", "their reconstructions", "samples"], rows))

      """
  }

  private func text(of novelty: Novelty) -> String {
    func row(_ name: String, _ found: Distribution) -> [String] {
      [name, "\(found.count)"] + [found.fifthPercentile, found.median, found.mean].map(Self.distance)
    }
    let rows = [
      row("held-out images", novelty.heldOut), row("their reconstructions", novelty.reconstructions),
      row("samples", novelty.samples),
    ]
    return """
      ## Distance to the nearest training image

      Root mean square difference of brightness 0 … 1 at 32 × 32 pixels, mirror images included.

      \(Self.table(["images", "count", "5th percentile", "median", "mean"], rows))

      \(Self.percent(novelty.nearShare)) of the samples are nearer than the 5th percentile of held-out images; \
      \(novelty.copies) of \(novelty.samples.count) are nearly the reconstruction of a training image \
      (nearer than \(Novelty.copyDistance)).

      """
  }

  private static func percent(_ share: Double) -> String { String(format: "%.1f %%", 100 * share) }
  private static func decibels(_ number: Double) -> String { String(format: "%.2f dB", number) }
  private static func distance(_ number: Double) -> String { String(format: "%.4f", number) }

  /// A name escaped so that it cannot break the table or become markup.
  private static func cell(_ name: String) -> String {
    let scalars = Array(printable(name).unicodeScalars)
    var text = ""
    for (place, scalar) in scalars.enumerated() {
      // A backslash before a letter, as in an escape of what is not printable, stands for itself.
      let isLetterNext = place + 1 < scalars.count && scalars[place + 1].properties.isAlphabetic
      if "|`<&*[]".unicodeScalars.contains(scalar) || scalar == "\\" && !isLetterNext { text += "\\" }
      text.unicodeScalars.append(scalar)
    }
    return text
  }

  /// A table with its columns padded.
  static func table(_ header: [String], _ rows: [[String]]) -> String {
    let widths = header.indices.map { column in ([header] + rows).map { $0[column].count }.max() ?? 0 }
    func line(_ cells: [String]) -> String {
      let padded = zip(cells, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
      return "| " + padded.joined(separator: " | ") + " |"
    }
    let rule = "|" + widths.map { String(repeating: "-", count: $0 + 2) }.joined(separator: "|") + "|"
    return ([line(header), rule] + rows.map(line)).joined(separator: "\n")
  }
}
