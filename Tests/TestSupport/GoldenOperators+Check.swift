// The operators of `Fixtures/golden/ops.safetensors` as tests see them.

import OperatorCases
import Testing

extension GoldenOperators {
  private static let file = Result { try GoldenOperators(path: Fixtures.path("golden/ops.safetensors")) }

  /// The names of the operators in the file.
  package static func names() throws -> [String] { try file.get().names }

  /// Compares an operator of the file, forward and backward, with what an engine computes.
  package static func check<B: TestedBackend>(
    _ name: String, on engine: B.Type, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    for comparison in try file.get().compare(name, on: engine) {
      expectClose(
        comparison.found, comparison.expected, comparison.tolerance, comparison.name, sourceLocation: sourceLocation)
    }
  }
}
