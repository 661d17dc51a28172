// The operators of `Fixtures/golden/ops.safetensors` as tests see them.

import MVARVerification
import OperatorCases
import TensorCore
import Testing

extension GoldenOperators {
  private static let file = Result { try GoldenOperators(path: Fixtures.path("golden/ops.safetensors")) }

  /// The names of the operators in the file.
  package static func names() throws -> [String] { try file.get().names }

  /// Compares an operator of the file, forward and backward, with what an engine computes.
  package static func check<B: Backend>(
    _ name: String, on engine: B.Type, device: B.Device, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    for row in try file.get()[name].compare(on: engine, device: device) {
      #expect(row.passes, "\(row) on \(engine)", sourceLocation: sourceLocation)
    }
  }
}
