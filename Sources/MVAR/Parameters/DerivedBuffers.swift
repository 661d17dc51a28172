// The buffers a published transformer checkpoint holds besides its parameters. They follow from the configuration and
// are not read here except for the list of scales, but PyTorch's strict loading requires them.
//
// The mask of all tokens, `attn_bias_for_masking`, is left out: it grows with L² and belongs to the baseline's
// training.

import MVARCheckpoints

/// Buffers of a checkpoint that are computed from the configuration.
public enum DerivedBuffers {
  /// `lvl_1L` [1, L], the scale of every token, and `attn.zero_k_bias` [C] of every block.
  public static func of(_ configuration: TransformerConfiguration) throws -> [(name: String, tensor: StoredTensor)] {
    let scaleList = configuration.scaleList
    let levels = (0..<scaleList.count).flatMap { scale in
      [Int](repeating: scale, count: scaleList.tokens(of: scale).count)
    }
    let zeros = try StoredTensor([Float](repeating: 0, count: configuration.width), shape: [configuration.width])
    return [("lvl_1L", try StoredTensor(levels, shape: [1, levels.count]))]
      + (0..<configuration.depth).map { ("blocks.\($0).attn.zero_k_bias", zeros) }
  }
}
