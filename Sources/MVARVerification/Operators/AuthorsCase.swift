// One case of an operator in a golden file of format 1, whose results PyTorch computed: names and letters of inputs are
// those of the authors' script, and are mapped to the catalog.
//
// PyTorch computed in single precision: its own rounding separates it from the exact values. Measured: 2e-6 of the
// largest value at most; allowed: 1e-5. One operator may have several cases, `linear` and `linear_2`.

import MVARCheckpoints
import MVARComparison
import OperatorCases
import TensorCore

/// A case of an operator with the results of PyTorch.
package struct AuthorsCase {
  package let name: String
  /// The operator with the inputs of the file, already multiplied.
  package let operatorCase: any OperatorCase
  /// The gradient of the output, if the file contains it.
  let cotangent: Values?
  /// Whether the file contains a gradient of any input.
  private let hasGradients: Bool
  private let letters: [String]
  private let preScale: Double
  private let file: GoldenFile

  /// - Throws: `GoldenOperatorError`, `OperatorCaseError`, or what the file throws, where it cannot be judged.
  init(_ name: String, _ description: JSONValue, _ file: GoldenFile) throws {
    self.name = name
    self.file = file
    let kind = try AuthorsOperator(name: name)
    let attributes = try AuthorsAttributes(description, known: kind.attributeNames)
    letters = kind.letters.map(\.letter)
    hasGradients = letters.contains { file.checkpoint["\(name).grad.\($0)"] != nil }
    cotangent = file.checkpoint["\(name).grad_out"] == nil ? nil : try file.values("\(name).grad_out")
    let output = try cotangent?.shape.dimensions ?? file.tensor("\(name).out").shape
    preScale = attributes.preScale
    operatorCase = try Self.operatorCase(kind, name, attributes, output: output, preScale, file)
    let shape = try OperatorCatalog.outputShapes(of: operatorCase)[0]
    if hasGradients || cotangent != nil {
      let found = try file.tensor("\(name).grad_out").shape
      guard Shape(found) == shape else {
        throw GoldenOperatorError("\(name).grad_out has shape \(found), and the output has \(shape)")
      }
    }
  }

  private static func operatorCase(
    _ kind: AuthorsOperator, _ name: String, _ attributes: AuthorsAttributes, output: [Int], _ preScale: Double,
    _ file: GoldenFile
  ) throws -> any OperatorCase {
    var inputs: [String: Values] = [:]
    for (letter, input) in kind.letters {
      inputs[input] = try file.values("\(name).in.\(letter)").scaled(by: letter == "x" ? preScale : 1)
    }
    var indices: [String: IndexValues] = [:]
    if kind.operatorName == "crossEntropy" {
      let targets = attributes.targets ?? []
      indices["targets"] = IndexValues(targets, shape: [targets.count])
    }
    return try OperatorCatalog.makeCase(
      operator: kind.operatorName, name: name, inputs: inputs, indices: indices,
      attributes: try kind.attributes(attributes, output: output, inputs))
  }

  /// What an engine computed beside what PyTorch did: the output and then every gradient, in alphabetical order.
  ///
  /// - Parameter limits: limits in the place of the bars' own.
  func rows(_ results: OperatorResults, _ precision: ComputedPrecision, limits: BarOverride) -> [Comparison] {
    func judge(_ tensor: String, _ found: Values, isGradient: Bool) -> Comparison {
      self.judge(tensor, found, isGradient: isGradient) {
        limits.bar(insteadOf: bar($0, precision, isGradient: isGradient))
      }
    }
    var rows = [judge("\(name).out", results.outputs[0], isGradient: false)]
    for (letter, gradient) in zip(letters, results.gradients).sorted(by: { $0.0 < $1.0 }) {
      // The gradient with respect to the input before it was multiplied.
      let found = letter == "x" ? gradient.scaled(by: preScale) : gradient
      rows.append(judge("\(name).grad.\(letter)", found, isGradient: true))
    }
    return rows
  }

  private func judge(
    _ tensor: String, _ found: Values, isGradient: Bool, bar: (ComparedValues) -> Bar
  ) -> Comparison {
    if isGradient, !hasGradients, cotangent == nil { return .notInFile(tensor) }
    do {
      // As stored: rounding to single precision could turn a large number into an infinity.
      let golden = try ComparedValues(file.tensor(tensor))
      return Comparator.values(tensor, found: ComparedValues(found), expected: golden, bar: bar(golden))
    } catch {
      return .notJudged(tensor, file.reason(error))
    }
  }

  private func bar(_ golden: ComparedValues, _ precision: ComputedPrecision, isGradient: Bool) -> Bar {
    // A gradient whose true value is zero is rounding on both sides.
    if isGradient, golden.numbers.allSatisfy({ abs($0) < GoldenBar.noise }) { return GoldenBar.trueZero }
    let rounding = operatorCase.isProduct ? 8 * precision.rounding : 0
    return Bar(
      absolute: (1e-5 + rounding) * golden.largest,
      "1e-5 of the largest magnitude: five times the rounding of the program that computed the golden values"
        + (rounding > 0 ? ", and 8 roundings to \(precision.rawValue)" : ""))
  }
}
