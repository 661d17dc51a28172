// Kind `ops`: each operator's output and vector-Jacobian product, as rows of a report. `GoldenOperators` defines how
// the file is interpreted and how large an engine's error may be.

import MVARCheckpoints
import MVARFiles
import OperatorCases

extension Verifier {
  func operators(_ file: GoldenFile, _ rows: inout RowCollector) throws {
    let operators = try GoldenOperators(file)
    for name in operators.names {
      let golden: GoldenOperator
      do {
        golden = try operators[name]
      } catch
        where error is GoldenOperatorError || error is OperatorCaseError || error is GoldenError
        || error is FileError
      {
        rows.notJudged(name, file.reason(error))
        // Its tensors have no rows of their own.
        operators.skip(name)
        continue
      }
      for row in try golden.compare(on: B.self, device: device, limits: limits) { rows.append(row) }
    }
  }
}
