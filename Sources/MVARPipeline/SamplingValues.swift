// Sampling settings that are known to work well: those of the authors' script, and those of the shipped model.

import MVAR

/// Guidance and the filters of logits.
public struct SamplingValues: Hashable, Sendable {
  /// Strength of classifier-free guidance at the last scale; 1 for none.
  public let guidance: Double
  /// Only the k most likely tokens; 0 for no limit.
  public let topK: Int
  /// Only the most likely tokens that together have probability p; 0 for no limit.
  public let topP: Double

  /// The given values.
  public init(guidance: Double, topK: Int, topP: Double) {
    self.guidance = guidance
    self.topK = topK
    self.topP = topP
  }

  /// Those of the authors' script.
  public static let published = SamplingValues(guidance: 2.7, topK: 900, topP: 0.96)

  /// As the sampler takes them.
  ///
  /// - Throws: `ConfigurationError` when a value is invalid.
  public func options(smooth: Bool = false) throws -> SamplingOptions {
    try SamplingOptions(guidance: guidance, topK: topK, topP: topP, smooth: smooth)
  }
}
