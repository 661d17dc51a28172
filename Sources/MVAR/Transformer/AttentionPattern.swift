// The three attention patterns, which share all weights and all other code: MVAR's, its ablation, and the baseline VAR.
//
// They differ only in what a token sees; `ScaleTrajectory` turns a pattern into spans and windows. `mvar mask` draws
// them.

/// What the tokens of a scale see.
public enum AttentionPattern: String, CaseIterable, Hashable, Sendable {
  /// Both Markov assumptions: a scale sees only itself, and from scale R on each token sees only its k × k
  /// neighborhood. p(r_s | r_(s−1)), O(N k²).
  case mvar
  /// The first assumption only, the paper's ablation: every scale sees all of itself and nothing else.
  case scaleMarkov = "scale-markov"
  /// The baseline VAR (arXiv 2404.02905), block-causal: a scale sees itself and all earlier ones,
  /// p(r_s | r_1 … r_(s−1)). Sampling keeps the keys and values of all scales so far, and always uses guidance.
  case blockCausal = "var"

  /// Whether a scale sees earlier ones, whose keys and values must then be available.
  public var seesEarlierScales: Bool { self == .blockCausal }
}
