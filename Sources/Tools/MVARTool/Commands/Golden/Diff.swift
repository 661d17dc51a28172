// `mvar golden diff`: two files of tensors, such as a golden file and what another program computed.

import ArgumentParser
import MVARComparison
import MVARVerification

extension Golden {
  struct Diff: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Compare two files tensor by tensor.",
      discussion: """
        The first file holds the expected values, the second one those to judge: safetensors, npz or PyTorch files, \
        each of any kind. Bars are those in the metadata of the first file; without them, eight roundings of the \
        narrower of the two types, relative to the largest expected magnitude. Integers are equal. A tensor that one \
        of the files lacks is a difference. Exit status 0 if everything is within its bar, 1 if something differs, 2 \
        if something could not be judged.

          mvar golden diff expected.safetensors mine.npz --first
        """)

    @Argument(help: "The file with the expected values.")
    var expected: String

    @Argument(help: "The file to judge.")
    var found: String

    @Flag(
      help: """
        Stop at the first difference in the order of execution: that of the metadata `order`, or else of the file.
        """)
    var first = false

    @OptionGroup(title: "Comparison")
    var comparison: ComparisonOptions

    func run() throws { try comparison.judging { try judge() } }

    private func judge() throws {
      var printer = try ComparisonPrinter(comparison, title: "mvar golden diff", keeping: [expected, found])
      let (report, count) = compare(printer)
      if first, report.problem == nil, count > 0 { try printer.tell(Self.sentence(report, among: count)) }
      // Those before the first difference agree; to list them would bury it.
      try printer.show(report, first && comparison.detail == .all ? .quiet : nil)
      try printer.finish()
    }

    /// The rows that count, and the number of tensors that they are among.
    private func compare(_ printer: ComparisonPrinter) -> (report: ComparisonReport, count: Int) {
      do {
        let files = try TensorDiff(expected: expected, found: found, limits: comparison.limits)
        let names = files.names.filter(printer.includes)
        return (files.report(names, stopsAtFirst: first), names.count)
      } catch {
        return (.unusable([found, expected], error), 0)
      }
    }

    /// Says which tensor is the first that differs, and how many before it nothing is known of.
    private static func sentence(_ report: ComparisonReport, among count: Int) -> String {
      let unknown = report.rows.count { $0.verdict == .notJudged }
      func wasNot(_ place: String) -> String { "\(unknown) \(place)\(unknown == 1 ? "was" : "were") not judged" }
      if let row = report.rows.last, row.verdict == .failed {
        return "first difference: \(row.name), tensor \(report.rows.count) of \(count) in the order of execution"
          + (unknown > 0 ? "; \(wasNot("before it "))" : "")
      }
      return unknown == 0
        ? "no difference in \(count) tensor\(count == 1 ? "" : "s")"
        : "no difference in \(count - unknown) of \(count) tensors; \(wasNot(""))"
    }
  }
}
