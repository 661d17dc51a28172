// Where the cases for kernels come from: the registry, or golden files of operators.

import MVARComparison
import MVARFiles
import OperatorCases

/// Cases for a kernel, and those that cannot be run.
package struct KernelCases {
  /// What can be run.
  package private(set) var cases: [GoldenCase] = []
  /// Cases that cannot be run, and why.
  package private(set) var others: [Comparison] = []

  /// The cases of the registry; those that the precision cannot represent are not supported.
  ///
  /// - Parameter isWanted: whether an operator is wanted.
  /// - Throws: what the reference engine throws.
  package init(ofRegistry precision: KernelPrecision, isWanted: (String) -> Bool) throws {
    for operatorCase in OperatorCases.all
    where isWanted(operatorCase.operatorName) && OperatorCatalog.specification(of: operatorCase.operatorName) != nil {
      try add(operatorCase, precision)
    }
  }

  /// The cases of a golden file; those that cannot be read are not judged.
  ///
  /// - Parameters:
  ///   - precision: what kernels receive, if not what the file says: expected values and bars are then computed anew.
  ///   - isWanted: whether an operator is wanted.
  /// - Throws: `FileError` or `GoldenError` when the file is no golden file of operators, format 2.
  package init(ofFile path: String, in precision: KernelPrecision?, isWanted: (String) -> Bool) throws {
    let file = try GoldenOperators(path: path)
    guard let stored = file.precision else {
      throw GoldenError(path, "is of format 1, which does not say what a kernel must get right; see `mvar golden make`")
    }
    for name in file.names {
      guard file.operatorName(of: name).map(isWanted) ?? true else {
        file.skip(name)
        continue
      }
      do {
        guard case .computed(let golden) = try file[name] else { continue }
        if let precision, precision != stored {
          try add(golden.operatorCase, precision)
        } else {
          cases.append(golden)
        }
      } catch {
        others.append(.notJudged(printable(name, limit: 200), file.reason(error)))
        file.skip(name)
      }
    }
    others += file.unusedTensors.map { .notJudged(printable($0, limit: 200), GoldenFile.strayTensor("ops")) }
  }

  private mutating func add(_ operatorCase: any OperatorCase, _ precision: KernelPrecision) throws {
    do {
      cases.append(try GoldenCase(computing: operatorCase, in: precision))
    } catch let error as OperatorCaseError {
      others.append(.notSupported(operatorCase.name, "\(precision.rawValue): \(error)"))
    }
  }
}
