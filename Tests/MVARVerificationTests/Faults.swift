// The faults, file by file: what an engine or a kernel typically gets wrong, as a change of the golden values.

import MVARCheckpoints

/// Changes that must be found.
enum Faults {
  static let all = operators + missing + filter + transformer + baseline + sampling + training + tokenizer + measures

  private static let ops = "ops.safetensors"

  static let operators: [Mutation] = [
    Mutation(ops, "softmax.out", "one NaN") { values, _ in values[9] = .nan },
    Mutation(ops, "gelu_tanh.out", "one +∞") { values, _ in values[3] = .infinity },
    Mutation(ops, "silu.grad.x", "one −∞") { values, _ in values[values.count - 1] = -.infinity },
    Mutation(ops, "linear.grad.w", "all zero") { values, _ in values = values.map { _ in 0 } },
    Mutation(ops, "window_attention_5_3.out", "height and width exchanged") { $0 = exchanged($0, $1, 1, 2) },
    Mutation(ops, "window_attention_8_5.out", "the window's border is shifted by a column") {
      $0 = rolled($0, $1, axis: 2)
    },
    Mutation(ops, "cross_entropy_ls0.0.grad.x", "the target is off by one") { $0 = rolled($0, $1, axis: 1) },
    Mutation(ops, "layer_norm.grad.x", "wrong sign") { values, _ in values = values.map { -$0 } },
    Mutation(ops, "window_attention_13_7.grad.q", "wrong scale of the softmax: 0.1 % too large") { values, _ in
      values = values.map { $0 * 1.001 }
    },
    Mutation(ops, "conv1x1.out", "wrong scale: 3e-5 too large") { values, _ in values = values.map { $0 * 1.00003 } },
    Mutation(ops, "conv3x3_pad1.out", "one element is off by 2e-5 of the largest") { values, _ in
      values[70] += 2e-5 * (values.map { abs($0) }.max() ?? 0)
    },
    Mutation(ops, "group_norm.out", "the last element was not written") { values, _ in values[values.count - 1] = 0 },
    Mutation(ops, "window_attention_5_3.grad.k", "dK goes to the wrong neighbor") { $0 = rolled($0, $1, axis: 2) },
    Mutation(ops, "window_attention_13_7.grad.v", "dV goes to the other head") { $0 = rolled($0, $1, axis: 3) },
    Mutation(ops, "conv3x3_stride2_asympad.out", "the padding is on the left") { $0 = rolled($0, $1, axis: 3) },
    Mutation(ops, "area_9_4.out", "the rows of a cell are off by one") { $0 = rolled($0, $1, axis: 2, by: -1) },
    Mutation(ops, "conv3x3_pad1.grad.w", "the last rows are from a stale buffer") { values, _ in
      for place in values.count - 9..<values.count { values[place] = values[place - 9] }
    },
    Mutation(ops, "bicubic_3_8.grad.x", "transposed") { $0 = exchanged($0, $1, 2, 3) },
    Mutation(ops, "upsample_nearest2x.grad.x", "three of four gradients are lost") { values, _ in
      values = values.map { $0 / 4 }
    },
    Mutation(ops, "l2_normalize.out", "normalized by the squared norm") { values, shape in
      for start in stride(from: 0, to: values.count, by: shape[3]) {
        for place in start..<start + shape[3] { values[place] *= 0.97 }
      }
    },
    Mutation(ops, "cross_entropy_ls0.1.out", "without label smoothing") { values, _ in values[2] -= 0.01 },
    Mutation(ops, "linear.out", "without the bias of one column") { values, shape in
      for place in stride(from: 0, to: values.count, by: shape[2]) { values[place] += 0.1 }
    },
    Mutation(ops, ["bicubic_1_16.out"], "another shape of as many elements", failing: ["bicubic_1_16.out"]) {
      $0.set("bicubic_1_16.out", try StoredTensor($0.tensor("bicubic_1_16.out").floats(), shape: [2, 1, 16, 16]))
    },
    Mutation(ops, ["area_16_1.out"], "fewer elements", failing: ["area_16_1.out"]) {
      $0.set("area_16_1.out", try StoredTensor([Float(1)], shape: [1]))
    },
    Mutation(ops, ["layer_norm.out"], "rounded to float16", failing: ["layer_norm.out"]) {
      $0.set("layer_norm.out", try $0.tensor("layer_norm.out").converted(to: .float16))
    },
    Mutation(ops, ["linear.grad.x"], "stored as integers", failing: ["linear.grad.x"]) {
      let tensor = try $0.tensor("linear.grad.x")
      $0.set("linear.grad.x", try StoredTensor(try tensor.doubles().map { Int($0) }, shape: tensor.shape))
    },
    // In single precision this is an infinity, and must not pass as one.
    Mutation(ops, ["gelu_tanh.grad.x"], "a number beyond single precision", failing: ["gelu_tanh.grad.x"]) {
      let tensor = try $0.tensor("gelu_tanh.grad.x")
      $0.set("gelu_tanh.grad.x", try StoredTensor(try tensor.doubles().map { $0 + 1e300 }, shape: tensor.shape))
    },
  ]

  static let missing: [Mutation] = [
    Mutation(ops, ["silu.out"], "an output is missing", notJudged: ["silu.out"]) { $0.remove("silu.out") },
    Mutation(ops, ["conv1x1.grad.b"], "one of the gradients is missing", notJudged: ["conv1x1.grad.b"]) {
      $0.remove("conv1x1.grad.b")
    },
    Mutation(ops, ["softmax.grad.x"], "the only gradient is missing", notJudged: ["softmax.grad.x"]) {
      $0.remove("softmax.grad.x")
    },
    Mutation(ops, ["area_8_3.in.x", "area_8_3.out"], "an input is missing", notJudged: ["area_8_3"]) {
      $0.remove("area_8_3.in.x")
    },
    Mutation(ops, ["linear.grad.q"], "an extra gradient", notJudged: ["linear.grad.q"]) {
      $0.set("linear.grad.q", try StoredTensor([Float(1)], shape: [1]))
    },
    Mutation(
      ops, ["conv3x3_pad1.out", "conv3x3_pad1.grad.w"], "an attribute of another operator", notJudged: ["conv3x3_pad1"]
    ) {
      try $0.replace("\"conv3x3_pad1\": {}", "\"conv3x3_pad1\": {\"kernel\": 3}", in: "ops")
    },
    Mutation(ops, ["nobody.out"], "an extra case without attributes", notJudged: ["nobody.out"]) {
      $0.set("nobody.out", try StoredTensor([Float(1)], shape: [1]))
    },
  ]

  private static let probabilities = "tiny_znorm.filter.safetensors"

  /// Removes the smallest or adds to the removed: rows stay sums of 1.
  private static func drop(_ values: inout [Double], _ shape: [Int], row: Int) {
    let range = row * shape[2]..<(row + 1) * shape[2]
    guard let last = range.filter({ values[$0] > 0 }).min(by: { values[$0] < values[$1] }) else { return }
    values[last] = 0
    let sum = range.reduce(0) { $0 + values[$1] }
    for place in range { values[place] /= sum }
  }

  static let filter: [Mutation] = [
    Mutation(probabilities, "topk7.topp0.0.probs", "top-k is off by one: the k-th token is lost") {
      drop(&$0, $1, row: 3)
    },
    Mutation(probabilities, "topk0.topp0.8.probs", "top-p is off by one: the last token is lost") {
      drop(&$0, $1, row: 0)
    },
    Mutation(probabilities, "topk1.topp0.0.probs", "another token is the largest") { $0 = rolled($0, $1, axis: 2) },
    Mutation(probabilities, "topk20.topp0.9.probs", "not normalized after the filter") { values, _ in
      values = values.map { $0 * 0.9 }
    },
    Mutation(probabilities, "topk0.topp0.0.probs", "unlikely tokens are lost") { values, _ in
      values = values.map { $0 < 2e-4 ? 0 : $0 }
    },
    Mutation(probabilities, "topk0.topp0.0.probs", "a third of noise") { values, _ in
      values = values.enumerated().map { $1 * ($0 % 2 == 0 ? 1.32 : 0.68) }
    },
    Mutation(probabilities, "topk7.topp0.0.probs", "one NaN") { values, _ in values[values.count - 1] = .nan },
    Mutation(probabilities, "topk1.topp0.0.probs", "a negative probability") { values, _ in values[1] = -1e-9 },
    Mutation(probabilities, "topk0.topp0.8.probs", "a removed token is kept") { values, shape in
      if let place = values.firstIndex(of: 0) { values[place] = 1e-7 }
    },
    Mutation(probabilities, "topk20.topp0.9.probs", "a row of zeros") { values, shape in
      for place in 0..<shape[2] { values[place] = 0 }
    },
    Mutation(probabilities, ["topkX.probs"], "a name that says no filter", notJudged: ["topkX.probs"]) {
      $0.set("topkX.probs", try StoredTensor([Float(1)], shape: [1]))
    },
  ]

  private static let mvar = "tiny_znorm.mvar.safetensors"

  static let transformer: [Mutation] = [
    Mutation(mvar, "segment.1.logits", "all NaN") { values, _ in values = values.map { _ in .nan } },
    Mutation(mvar, "segment.2.logits", "positions off by one") { $0 = rolled($0, $1, axis: 1) },
    Mutation(mvar, "segment.0.grad.blocks.0.ada_lin.1.bias", "scale and shift of the norm exchanged") {
      $0 = partsExchanged($0, $1, axis: 0, 2, 4, of: 6)
    },
    Mutation(mvar, "segment.1.grad.head.weight", "transposed") { $0 = exchanged($0, $1, 0, 1) },
    Mutation(mvar, "segment.2.grad.blocks.0.attn.scale_mul_1H11", "wrong sign") { values, _ in
      values = values.map { -$0 }
    },
    Mutation(mvar, "segment.0.grad.word_embed.weight", "one element") { values, _ in
      values[17] += 3e-4 * (values.map { abs($0) }.max() ?? 0)
    },
    Mutation(mvar, "segment.1.grad.blocks.0.ffn.fc1.weight.head", "all zero") { values, _ in
      values = values.map { _ in 0 }
    },
    Mutation(
      mvar, ["segment.0.grad.blocks.0.ffn.fc2.weight.head"], "a part of a gradient without elements",
      notJudged: ["segment.0.grad.blocks.0.ffn.fc2.weight.head"]
    ) {
      $0.set("segment.0.grad.blocks.0.ffn.fc2.weight.head", try StoredTensor([Float](), shape: [0]))
    },
    Mutation(mvar, "segment.0.logits", "the images of the batch exchanged") { $0 = rolled($0, $1, axis: 0) },
    Mutation(mvar, ["losses"], "another loss", failing: ["segment.0.loss"]) {
      try $0.scale("losses", after: "[", by: 1.01)
    },
    Mutation(mvar, ["grad_l2_norms"], "another norm of a gradient", failing: ["|segment.0.grad.pos_1LC|"]) {
      try $0.scale("grad_l2_norms", after: "\"pos_1LC\":", by: 1.001)
    },
    Mutation(mvar, ["segments"], "another segment", failing: ["segment.1"]) {
      try $0.replace("[5, 21, true]", "[5, 21, false]", in: "segments")
    },
    Mutation(mvar, ["segment.9.logits"], "an extra segment", notJudged: ["segment.9.logits"]) {
      $0.set("segment.9.logits", try StoredTensor([Float(1)], shape: [1]))
    },
  ]

  private static let plain = "tiny.var.safetensors"

  static let baseline: [Mutation] = [
    Mutation(plain, "logits", "the last element") { values, _ in values[values.count - 1] += 1 },
    Mutation(plain, "loss", "another loss") { values, _ in values[0] += 0.01 },
    Mutation(plain, "grad.head.bias", "wrong sign") { values, _ in values = values.map { -$0 } },
    Mutation(plain, "sample.scale2.tokens", "one token") { values, _ in values[4] = 63 - values[4] },
    Mutation(plain, "sample.scale5.logits", "the second image is a stale copy of the first") { values, _ in
      for place in 0..<values.count / 2 { values[values.count / 2 + place] = values[place] }
    },
    Mutation(plain, "sample.image01", "colors in another order") { $0 = rolled($0, $1, axis: 1) },
    Mutation(plain, "grad.pos_start", "one NaN") { values, _ in values[0] = .nan },
  ]

  private static let sample = "tiny_znorm.sample.safetensors"

  static let sampling: [Mutation] = [
    Mutation(sample, "cfg1.0.scale3.tokens", "the last token") { values, _ in
      values[values.count - 1] = values[values.count - 1] == 0 ? 1 : values[values.count - 1] - 1
    },
    Mutation(sample, ["cfg2.7.scale3.logits"], "without guidance", failing: ["cfg2.7.scale3.logits"]) {
      $0.set("cfg2.7.scale3.logits", try $0.tensor("cfg1.0.scale3.logits"))
    },
    Mutation(sample, "cfg2.7.f_hat", "all zero") { values, _ in values = values.map { _ in 0 } },
    Mutation(sample, "cfg1.0.image01", "in −1 … 1 instead of 0 … 1") { values, _ in values = values.map { 2 * $0 - 1 }
    },
    Mutation(sample, "cfg2.7.image01", "one pixel is infinite") { values, _ in values[1000] = .infinity },
    Mutation(sample, "cfg1.0.f_hat", "transposed") { $0 = exchanged($0, $1, 2, 3) },
    Mutation(
      sample, ["cfg1.0.scale1.logits"], "the logits of a scale are missing", notJudged: ["cfg1.0.scale1.logits"]
    ) { $0.remove("cfg1.0.scale1.logits") },
    Mutation(sample, ["cfg2.7.scale2.tokens"], "tokens of one image only", failing: ["cfg2.7.scale2.tokens"]) {
      let tokens = try $0.tensor("cfg2.7.scale2.tokens").integers()
      $0.set("cfg2.7.scale2.tokens", try StoredTensor(Array(tokens.prefix(16)), shape: [1, 16]))
    },
    Mutation(sample, ["cfg2.7.scale3.tokens"], "half a token", notJudged: ["cfg2.7.scale3.tokens"]) {
      let tensor = try $0.tensor("cfg2.7.scale3.tokens")
      $0.set("cfg2.7.scale3.tokens", try StoredTensor(try tensor.doubles().map { $0 + 0.5 }, shape: tensor.shape))
    },
    Mutation(sample, ["cfg1.0.scale9.logits"], "an extra scale", notJudged: ["cfg1.0.scale9.logits"]) {
      $0.set("cfg1.0.scale9.logits", try StoredTensor([Float(1)], shape: [1]))
    },
  ]

  private static let train = "tiny_znorm.train.safetensors"

  static let training: [Mutation] = [
    Mutation(train, "param.head.bias", "one element was not updated") { values, _ in values[5] += 2e-5 },
    Mutation(train, "param.blocks.0.ffn.fc2.weight.head", "weight decay was not applied") { values, _ in
      values = values.map { $0 * 1.0002 }
    },
    Mutation(train, "param.word_embed.weight", "transposed blocks") { $0 = rolled($0, $1, axis: 1) },
    Mutation(train, "param.pos_start", "one NaN") { values, _ in values[63] = .nan },
    Mutation(train, ["param.lvl_embed.weight"], "a parameter is missing", notJudged: ["param.lvl_embed.weight"]) {
      $0.remove("param.lvl_embed.weight")
    },
    Mutation(train, ["steps.loss"], "another loss", failing: ["step.0.loss"]) {
      try $0.scale("steps", after: "\"loss\":", by: 1.0001)
    },
    Mutation(train, ["steps.lr"], "another learning rate", failing: ["step.0.lr"]) {
      try $0.scale("steps", after: "\"lr\":", by: 1.0001)
    },
    Mutation(train, ["steps.grad_norm"], "another norm of the gradient", failing: ["step.0.grad_norm"]) {
      try $0.scale("steps", after: "\"grad_norm\":", by: 0.9999)
    },
    Mutation(train, ["no_weight_decay"], "decay of a bias", failing: ["parameters without decay"]) {
      try $0.replace("\"head.bias\"", "\"head.weight\"", in: "no_weight_decay")
    },
  ]

  private static let vqvae = "tiny_znorm.vqvae.safetensors"

  static let tokenizer: [Mutation] = [
    Mutation(vqvae, "indices", "one code of the last scale") { values, _ in
      values[values.count - 1] = 63 - values[values.count - 1]
    },
    Mutation(vqvae, ["f_hat.2"], "f̂ is that of the scale before", failing: ["f_hat.2"]) {
      $0.set("f_hat.2", try $0.tensor("f_hat.1"))
    },
    Mutation(vqvae, "encoder_out", "one +∞") { values, _ in values[100] = .infinity },
    Mutation(vqvae, "mvar_input", "positions off by one") { $0 = rolled($0, $1, axis: 1) },
    Mutation(vqvae, "f_hat_last", "height and width exchanged", failing: ["f_hat_last", "f_hat from tokens"]) {
      $0 = exchanged($0, $1, 2, 3)
    },
    Mutation(vqvae, "decoder_raw", "one pixel") { values, _ in values[12345] += 1e-3 },
    Mutation(vqvae, "reconstruction", "the border is shifted") { $0 = rolled($0, $1, axis: 3) },
    Mutation(vqvae, "train.vq_loss", "without β") { values, _ in values[0] *= 0.8 },
    Mutation(vqvae, "grad.decoder.conv_in.bias", "halves exchanged") {
      $0 = partsExchanged($0, $1, axis: 0, 0, 1, of: 2)
    },
    Mutation(vqvae, "grad.decoder.conv_out.weight", "the kernel is mirrored") { $0 = exchanged($0, $1, 2, 3) },
    Mutation(vqvae, "grad.encoder.down.0.block.0.conv1.bias", "not the zero that it should be") { values, _ in
      values[3] = 1e-4
    },
    Mutation(vqvae, ["f_hat.0"], "f̂ of a scale is missing", notJudged: ["f_hat.0"]) { $0.remove("f_hat.0") },
  ]

  private static let (inception, metrics) = ("inception.safetensors", "metrics.safetensors")

  static let measures: [Mutation] = [
    Mutation(inception, "2048.of.64", "one feature is off by 2e-5 of the largest") { values, _ in
      values[700] += 2e-5 * (values.max() ?? 0)
    },
    Mutation(inception, "spatial.of.64", "height and width exchanged") { $0 = exchanged($0, $1, 2, 3) },
    Mutation(inception, ["logits.of.64"], "the bias is left out", failing: ["logits.of.64"]) {
      $0.set("logits.of.64", try $0.tensor("logits_unbiased.of.64"))
    },
    Mutation(inception, ["2049.of.64"], "features of an unknown layer", notJudged: ["2049.of.64"]) {
      $0.set("2049.of.64", try $0.tensor("2048.of.64"))
    },
    Mutation(metrics, ["plain.fid"], "another distance", failing: ["plain.fid"]) {
      try $0.scale("values", after: "\"plain\": {\"fid\":", by: 1.00001)
    },
    Mutation(metrics, ["relu_like.precision"], "one decision more", failing: ["relu_like.precision"]) {
      try $0.scale("values", after: "17.835793521413095, \"precision\":", by: 49.0 / 48)
    },
    Mutation(
      metrics, ["plain.logits"], "the last logit of an image",
      failing: ["5000", "70", "32"].map { "plain.inception_score.\($0)" }
    ) { try $0.change("plain.logits") { values, _ in values[values.count - 1] += 2 } },
    Mutation(
      metrics, ["far_apart.sample"], "samples are missing",
      notJudged: ["fid", "fid_by_eigenvalues", "precision", "recall"].map { "far_apart.\($0)" }
    ) { $0.remove("far_apart.sample") },
    Mutation(
      metrics, ["dead_features.reference"], "a feature is not finite",
      notJudged: ["fid", "fid_by_eigenvalues", "precision", "recall"].map { "dead_features.\($0)" }
    ) { try $0.change("dead_features.reference") { values, _ in values[5] = .nan } },
    Mutation(metrics, ["few_samples.recall"], "an unknown measure", notJudged: ["few_samples.recoil"]) {
      try $0.replace("0.875, \"recall\"", "0.875, \"recoil\"", in: "values")
    },
  ]
}
