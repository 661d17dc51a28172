// The options of every command that compares tensors: what is printed, what is written for other programs, which rows
// count, and limits in the place of the bars' own.

import ArgumentParser
import MVARComparison
import MVARFiles

/// How much is printed.
enum ComparisonDetail: String, EnumerableFlag {
  case all
  case quiet
  case summary

  static func help(for value: ComparisonDetail) -> ArgumentHelp? {
    switch value {
    case .all: "Print every row."
    case .quiet: "Print only rows that did not pass."
    case .summary: "Print one line per file."
    }
  }
}

/// Options of commands that compare.
struct ComparisonOptions: ParsableArguments {
  @Flag var detail = ComparisonDetail.all

  @Option(parsing: .unconditional, help: "Only rows in whose names this regular expression is found.")
  var only: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The largest error relative to the expected value that passes.",
      discussion: """
        Takes the place of every bar together with --atol: |found − expected| ≤ A + R·|expected|, where the one that \
        is not given is 0. Bars that require equality stay: those of integers, and of values that are only copied.
        """, valueName: "R"))
  var rtol: Double?

  @Option(parsing: .unconditional, help: ArgumentHelp("The largest absolute error that passes.", valueName: "A"))
  var atol: Double?

  @Option(parsing: .unconditional, help: ArgumentHelp("A file for all rows (.json).", valueName: "file"))
  var json: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("A file for the test results of continuous integration (.xml, JUnit).", valueName: "file"))
  var junit: String?

  func validate() throws {
    for (option, value) in [("--rtol", rtol), ("--atol", atol)] {
      guard let value, !(value >= 0 && value.isFinite) else { continue }
      throw ValidationError("\(option) is \(value); use a number that is not negative")
    }
    _ = try pattern()
  }

  /// What is searched in the names of rows; nil for all rows.
  func pattern() throws -> Regex<AnyRegexOutput>? {
    try only.map { try Arguments.pattern($0, option: "--only") }
  }

  /// Runs a comparison. An error ends it with status 2, since 1 says that something differs.
  func judging(_ body: () throws -> Void) throws {
    do {
      try body()
    } catch  where !(error is ExitCode || error is ValidationError) {
      Console.complain(MVARTool.describe(error))
      throw ExitCode(2)
    }
  }

  /// The limits that were given.
  var limits: BarOverride { BarOverride(absolute: atol, relative: rtol) }

  /// The options that set the same limits in another process of this program.
  var limitArguments: [String] {
    (rtol.map { ["--rtol", "\($0)"] } ?? []) + (atol.map { ["--atol", "\($0)"] } ?? [])
  }
}
