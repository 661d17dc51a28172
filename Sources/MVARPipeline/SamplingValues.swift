// Sampling settings that are known to work well: those that the authors suggest for d16. ShippedModel has those of the
// shipped model.

import MVAR

/// Guidance and the filters of logits.
public struct SamplingValues: Hashable, Sendable {
  /// Strength of classifier-free guidance at the last scale; 1 for none, but VAR is guided even then.
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

  /// Those that the authors suggest for `mvar-d16.pth`.
  public static let published = SamplingValues(guidance: 2.7, topK: 1200, topP: 0.99)

  /// As the sampler takes them.
  ///
  /// - Throws: `ConfigurationError` when a value is invalid.
  public func options(smooth: Bool = false) throws -> SamplingOptions {
    try SamplingOptions(guidance: guidance, topK: topK, topP: topP, smooth: smooth)
  }
}
