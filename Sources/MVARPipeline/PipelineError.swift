// The errors of a request, as one sentence each. Files that cannot be read have errors of their own, from the modules
// that read them.

import Foundation

/// Why a request was refused or could not be finished.
public enum PipelineError: Error, Hashable, Sendable, CustomStringConvertible, LocalizedError {
  /// The shipped model was not found.
  case noShippedModel
  /// No class has this number or name.
  case unknownClass(String, reason: String)
  /// Invalid numbers, such as a negative count.
  case unusableRequest(String)
  /// Tokens that this tokenizer cannot decode.
  case unusableTokens(String)
  /// The model's output is not made of finite numbers: its weights are damaged or do not fit.
  case notFinite(String)

  /// One sentence without a full stop.
  public var description: String {
    switch self {
    case .noShippedModel: ShippedModel.absence
    case .unknownClass(let text, let reason): "class \(text): \(reason)"
    case .unusableRequest(let reason), .unusableTokens(let reason): reason
    case .notFinite(let what):
      "\(what) is not made of finite numbers: the model's weights are damaged or do not fit"
    }
  }

  /// The same sentence, for callers that only know `Error`.
  public var errorDescription: String? { description }
}
