// The three attention patterns that share all weights and all other text: MVAR's, its ablation, and the baseline VAR.
//
// They differ in what a token sees, and in nothing else; `ScaleTrajectory` turns a pattern into spans and windows. `mvar
// mask` samples them.

/// What the tokens of a scale see.
public enum AttentionPattern: String, CaseIterable, Hashable, Sendable {
  /// Both Markov assumptions: a scale sees itself alone, from scale R on each token its k × k neighborhood only.
  /// p(r_s | r_(s−1)), O(N k²).
  case mvar
  /// The first assumption alone, the paper's ablation: every scale sees itself alone, all of it.
  case scaleMarkov = "scale-markov"
  /// The baseline VAR (arXiv 2404.02905), block-causal: a scale sees itself and all earlier ones, p(r_s | r_1 … r_(s−1)).
  /// Sampling keeps the keys and values of all scales so far, and always with guidance.
  case blockCausal = "var"

  /// Whether a scale sees earlier ones, whose keys and values must then be at hand.
  public var seesEarlierScales: Bool { self == .blockCausal }
}
