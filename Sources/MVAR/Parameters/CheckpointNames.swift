// Swift name ↔ PyTorch key: the only place that knows the keys of published checkpoints.
//
// A Swift name is a path such as `blocks.3.feedForward.fc1.weight`. It is translated one component at a time;
// components not in the table (numbers, `weight`, `bias`) stay as they are.

/// The names of parameters in published checkpoints.
public enum CheckpointNames {
  /// A parameter that every transformer has, used to find the weights in a wrapped checkpoint.
  public static let transformerMark = "word_embed.weight"
  /// A parameter that every tokenizer has.
  public static let tokenizerMark = "quantize.embedding.weight"

  /// The parameter by which a model's weights are known from others in a file.
  public static func mark(of model: Model) -> String { model == .transformer ? transformerMark : tokenizerMark }

  private static let transformer: [String: String] = [
    "startPosition": "pos_start",
    "positions": "pos_1LC",
    "wordEmbedding": "word_embed",
    "classEmbedding": "class_emb",
    "levelEmbedding": "lvl_embed",
    "sharedModulation": "shared_ada_lin.1",
    "modulation": "ada_lin.1",
    "modulationOffset": "ada_gss",
    "attention": "attn",
    "qkv": "mat_qkv",
    "queryBias": "q_bias",
    "valueBias": "v_bias",
    "logitScale": "scale_mul_1H11",
    "projection": "proj",
    "feedForward": "ffn",
    "fc1": "fc1",
    "fc2": "fc2",
    "headNorm": "head_nm",
  ]

  private static let tokenizer: [String: String] = [
    "encoderLevels": "down",
    "decoderLevels": "up",
    "inputConvolution": "conv_in",
    "outputConvolution": "conv_out",
    "outputNorm": "norm_out",
    "blocks": "block",
    "attentions": "attn",
    "downsample": "downsample.conv",
    "upsample": "upsample.conv",
    "middle": "mid",
    "firstBlock": "block_1",
    "attention": "attn_1",
    "secondBlock": "block_2",
    "firstNorm": "norm1",
    "firstConvolution": "conv1",
    "secondNorm": "norm2",
    "secondConvolution": "conv2",
    "shortcut": "nin_shortcut",
    "qkv": "qkv",
    "projection": "proj_out",
    "quantizer": "quantize",
    "codebook": "embedding",
    "partialPhi": "quant_resi.qresi_ls",
    "sharedPhi": "quant_resi.qresi",
    "ownPhi": "quant_resi",
    "convolutionToCodes": "quant_conv",
    "convolutionFromCodes": "post_quant_conv",
  ]

  /// Which of the two models a name belongs to.
  public enum Model: Sendable {
    /// The transformer.
    case transformer
    /// The tokenizer.
    case tokenizer
  }

  /// The key of a parameter in a checkpoint.
  public static func key(of name: String, in model: Model) -> String {
    let table = model == .transformer ? transformer : tokenizer
    return name.split(separator: ".").map { table[String($0)] ?? String($0) }.joined(separator: ".")
  }

  /// Buffers that published checkpoints hold and that are recomputed instead of read: they never decide whether a file
  /// can be used.
  private static let derived = ["lvl_1L", "attn_bias_for_masking", "attn.zero_k_bias", "quantize.ema_vocab_hit_SV"]

  /// Whether a key, with or without the names of wrappers before it, names a buffer that is recomputed instead of read.
  public static func isDerived(_ key: String) -> Bool {
    derived.contains { key == $0 || key.hasSuffix(".\($0)") }
  }
}
