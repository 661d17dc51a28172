// Right answers that look different: rounding, other types, another order, infinities that agree, and what a file need
// not contain.

import MVARCheckpoints
import TensorCore

/// Changes that must not be found.
enum RightAnswers {
  static let all = rounding + types + orders + others

  private static func file(_ name: String) -> String { "\(name).safetensors" }

  /// The files and some of their tensors.
  private static let tensors: [(file: String, tensors: [String])] = [
    (
      "ops",
      [
        "linear.out", "linear.grad.w", "softmax.grad.x", "window_attention_5_3.out", "window_attention_5_3.grad.k",
        "window_attention_8_5.grad.v", "group_norm.grad.x", "cross_entropy_ls0.1.out", "bicubic_3_8.out",
      ]
    ),
    ("tiny_znorm.filter", ["topk0.topp0.0.probs", "topk7.topp0.0.probs", "topk20.topp0.9.probs"]),
    (
      "tiny_znorm.mvar",
      ["segment.0.logits", "segment.2.grad.head.weight", "segment.1.grad.blocks.0.ffn.fc1.weight.head"]
    ),
    ("tiny.var", ["logits", "grad.head.bias", "sample.image01", "sample.scale3.logits"]),
    ("tiny_znorm.sample", ["cfg1.0.scale2.logits", "cfg2.7.f_hat", "cfg2.7.image01"]),
    ("tiny_znorm.train", ["param.head.weight", "param.pos_1LC.head"]),
    ("tiny_znorm.vqvae", ["f_hat.1", "decoder_raw", "grad.decoder.conv_in.bias", "mvar_input"]),
  ]

  /// Every value moved by one rounding of single precision, up and down in turn.
  private static let rounding = tensors.flatMap { name, tensors in
    tensors.map { tensor in
      Mutation(file(name), tensor, "\(tensor) moved within rounding", failing: []) { values, _ in
        values = values.enumerated().map {
          let value = Float($1)
          return Double(value == 0 ? 0 : $0 % 2 == 0 ? value.nextUp : value.nextDown)
        }
      }
    }
  }

  private static let types: [Mutation] =
    tensors.map { name, tensors in
      Mutation(file(name), ["types"] + tensors, "stored in double precision") { copy in
        for tensor in tensors {
          let stored = try copy.tensor(tensor)
          copy.set(tensor, try StoredTensor(stored.doubles(), shape: stored.shape))
        }
      }
    }
    + [
      Mutation(file("tiny_znorm.sample"), ["cfg1.0.scale3.tokens"], "tokens as 64-bit integers") {
        let stored = try $0.tensor("cfg1.0.scale3.tokens")
        $0.set("cfg1.0.scale3.tokens", try StoredTensor(stored.integers(), shape: stored.shape))
      },
      Mutation(file("tiny_znorm.sample"), ["cfg2.7.scale3.tokens"], "tokens as whole floating-point numbers") {
        let stored = try $0.tensor("cfg2.7.scale3.tokens")
        $0.set("cfg2.7.scale3.tokens", try StoredTensor(stored.floats(), shape: stored.shape))
      },
      Mutation(file("tiny_znorm.vqvae"), ["indices"], "codes as bytes") {
        let stored = try $0.tensor("indices")
        $0.set("indices", try StoredTensor(stored.integers().map { UInt8($0) }, shape: stored.shape))
      },
    ]

  private static let orders = tensors.map { name, _ in
    Mutation(file(name), ["order"], "tensors in the opposite order") { $0.tensors.reverse() }
  }

  private static let others: [Mutation] = [
    Mutation(file("ops"), ["silu"], "equal infinities") {
      let shape = [2]
      $0.set("silu.in.x", try StoredTensor([Float.infinity, 1], shape: shape))
      $0.set("silu.out", try StoredTensor([Float.infinity, 3.928_055_2], shape: shape))
      for name in ["silu.grad_out", "silu.grad.x"] { $0.remove(name) }
    },
    Mutation(file("ops"), ["gelu_tanh"], "no gradients at all") {
      for name in ["gelu_tanh.grad_out", "gelu_tanh.grad.x"] { $0.remove(name) }
    },
    Mutation(file("ops"), ["l2_normalize.out"], "negative zeros") {
      try $0.change("l2_normalize.out") { values, _ in values = values.map { $0 == 0 ? -0.0 : $0 } }
    },
    Mutation(file("ops"), ["linear_2"], "a second case of an operator") { copy in
      for part in ["in.x", "in.w", "in.b", "out", "grad_out", "grad.x", "grad.w", "grad.b"] {
        copy.set("linear_2.\(part)", try copy.tensor("linear.\(part)"))
      }
      try copy.replace("{", "{\"linear_2\": {}, ", in: "ops")
    },
    Mutation(file("ops"), ["note"], "more metadata") { $0.metadata["note"] = "anything" },
    Mutation(file("tiny_znorm.sample"), ["cfg1.0.f_hat"], "f̂ is not stored") { $0.remove("cfg1.0.f_hat") },
    Mutation(file("tiny_znorm.mvar"), ["segment.0.grad.pos_start"], "a gradient is stored by its norm only") {
      $0.remove("segment.0.grad.pos_start")
    },
    Mutation(file("tiny_znorm.mvar"), ["segment.1.logits"], "half of the bar away") {
      try $0.change("segment.1.logits") { values, _ in values = values.map { $0 + 1e-4 } }
    },
    Mutation(file("tiny_znorm.filter"), ["topk0.topp0.8.probs"], "half of the bar away") {
      try $0.change("topk0.topp0.8.probs") { values, _ in
        values = values.enumerated().map { $1 * ($0 % 2 == 0 ? 1.00001 : 0.99999) }
      }
    },
    Mutation(file("tiny_znorm.train"), ["param.head.bias"], "half of the bar away") {
      try $0.change("param.head.bias") { values, _ in values = values.map { $0 + 4e-6 } }
    },
    Mutation(file("tiny_znorm.vqvae"), ["grad.encoder.down.0.block.0.conv1.bias"], "another rounding of a true zero") {
      try $0.change("grad.encoder.down.0.block.0.conv1.bias") { values, _ in values = values.map { -$0 } }
    },
  ]
}
