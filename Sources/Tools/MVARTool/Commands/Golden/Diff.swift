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

    func run() throws {
      var printer = try ComparisonPrinter(comparison, title: "mvar golden diff", keeping: [expected, found])
      let (report, count) = compare(printer)
      if first, report.problem == nil { try printer.tell(Self.sentence(report, among: count)) }
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

    /// Says which tensor is the first that differs.
    private static func sentence(_ report: ComparisonReport, among count: Int) -> String {
      guard let row = report.rows.last, row.verdict == .failed else { return "no difference in \(count) tensors" }
      return "first difference: \(row.name), tensor \(report.rows.count) of \(count) in the order of execution"
    }
  }
}
