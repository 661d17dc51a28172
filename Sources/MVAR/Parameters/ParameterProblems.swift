// All mismatches between a model and its checkpoint, reported at once: missing names, wrong shapes and unknown names.

import TensorCore

/// Why the parameters of a source do not fit the model.
public struct ParameterProblems: Error, CustomStringConvertible {
  /// One sentence per problem, without periods.
  public let problems: [String]

  /// At most this many problems are written out.
  private static let shown = 8

  /// The problems in one sentence.
  public var description: String {
    let listed = problems.prefix(Self.shown).joined(separator: "; ")
    return problems.count <= Self.shown ? listed : "\(listed); and \(problems.count - Self.shown) more"
  }

  /// Throws when there are problems.
  static func check(_ problems: [any Error]) throws {
    if !problems.isEmpty { throw ParameterProblems(problems: problems.map { "\($0)" }) }
  }
}
