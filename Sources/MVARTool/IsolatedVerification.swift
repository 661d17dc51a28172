// Checks a golden file in a process of its own. Operators stop the process when shapes do not fit, because in a program
// that is a mistake; in a file it is bad input, and the other files still have to be checked.

/// How many rows there were of each kind.
struct VerifyCounts: CustomStringConvertible {
  var passed = 0
  var failed = 0
  var notChecked = 0

  /// Adds the rows of another file.
  mutating func add(_ other: VerifyCounts) {
    passed += other.passed
    failed += other.failed
    notChecked += other.notChecked
  }

  /// `3 passed, 0 failed, 1 not checked`
  var description: String { "\(passed) passed, \(failed) failed, \(notChecked) not checked" }

  init(passed: Int = 0, failed: Int = 0, notChecked: Int = 0) {
    (self.passed, self.failed, self.notChecked) = (passed, failed, notChecked)
  }

  /// The counts at the end of a line that ends with `description`.
  init?(endOf line: Substring) {
    let words = line.split(separator: " ").suffix(7)
    let numbers = words.compactMap { Int($0) }
    guard numbers.count == 3, words.last == "checked" else { return nil }
    self.init(passed: numbers[0], failed: numbers[1], notChecked: numbers[2])
  }
}

/// Runs `mvar verify` on one file.
struct IsolatedVerification {
  let command: Verify

  /// What the check of a file printed, its counts, and whether something in the file could not be judged.
  ///
  /// - Throws: `Failure` when the file cannot be used.
  func run(_ file: String) throws -> (text: String, counts: VerifyCounts, hasUnjudged: Bool) {
    let result = try ThisProgram.run(arguments + ["--", file])
    guard let status = result.status else {
      throw Failure("\(file): the check was stopped: shapes or numbers in the file do not fit its kind")
    }
    let text = result.output.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
    let hasUnjudged = status == Verify.notJudged.rawValue
    guard status == 0 || hasUnjudged, let first = text.first, let counts = VerifyCounts(endOf: first) else {
      throw Failure(result.sentence("\(file): the check failed"))
    }
    return (text.joined(separator: "\n"), counts, hasUnjudged)
  }

  private var arguments: [String] {
    ["verify", "--alone", "--\(command.detail.rawValue)"] + command.engine.arguments
      + (command.photos.map { ["--photos", $0] } ?? [])
  }
}
