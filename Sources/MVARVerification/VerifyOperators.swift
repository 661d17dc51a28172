// Kind `ops`: each operator's output and vector-Jacobian product, as rows of a report. `GoldenOperators` defines how
// the file is interpreted and how large an engine's error may be.

import MVARCheckpoints
import MVARFiles
import OperatorCases

extension Verifier {
  func operators(_ file: GoldenFile) throws -> [VerificationRow] {
    let operators = try GoldenOperators(file)
    return try operators.names.flatMap { name in
      let golden: GoldenOperator
      do {
        golden = try operators[name]
      } catch  where error is GoldenOperatorError || error is GoldenError || error is FileError {
        return [VerificationRow(name, .notChecked(file.reason(error)))]
      }
      return try golden.compare(on: B.self, device: device).map { tensor, judgment in
        switch judgment {
        case .compared(let comparison): VerificationRow(tensor, comparison)
        case .notInFile: VerificationRow(tensor, .notInFile)
        case .notJudged(let why): VerificationRow(tensor, .notChecked(why))
        }
      }
    }
  }
}

extension VerificationRow {
  /// A row without numbers.
  fileprivate init(_ name: String, _ outcome: Outcome) {
    self.init(name: name, outcome: outcome, absolute: 0, relative: 0, place: "", tolerance: "")
  }

  /// The row of a comparison.
  fileprivate init(_ name: String, _ comparison: TensorComparison) {
    self.init(
      name: name, outcome: comparison.passes ? .passed : .failed, absolute: comparison.absolute,
      relative: comparison.relative, place: Self.place(comparison), tolerance: comparison.bar.reason)
  }

  /// The position of the largest error, and both values.
  private static func place(_ comparison: TensorComparison) -> String {
    guard !comparison.coordinates.isEmpty else { return comparison.problem ?? "empty" }
    let values = "at \(comparison.coordinates): \(comparison.found), golden \(comparison.expected)"
    if let problem = comparison.notFinite {
      let side =
        switch problem.side {
        case .expected: "golden is"
        case .found: "ours is"
        case .both: "both are"
        }
      return "\(values): \(side) not a finite number, \(problem.count) of \(problem.total) not finite"
    }
    let share = comparison.share < 1e12 ? "\(Int(comparison.share * 100)) % of the" : "far outside the"
    return "\(values), \(share) tolerance" + (!comparison.passes && comparison.foundIsZero ? "; ours is all zero" : "")
  }
}
