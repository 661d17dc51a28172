// What is measured: the names that all sides know, the amount of arithmetic, the target ratios, and how closely the
// results of float32 sides must agree.

import BenchReport
import MVAR

/// One benchmark case.
struct Case {
  /// The name that all sides know.
  let name: String
  /// The name in tables.
  var title: String
  var kind = Peer.Kind.operation
  /// Multiplications and additions of the direct algorithm; nil where they are not meaningful.
  var operations: Double?
  /// The target ratios, and the precisions that are measured.
  var aims: [(Precision, Double?)] = [(.float32, nil)]
  /// The target ratio of memory, for each precision.
  var memoryAims: [Precision: Double] = [:]
  /// How much the values that describe the results may differ, relative to the larger.
  var tolerance = 1e-3
  /// What shows how far a precision is from float32.
  var output: (name: String, kind: Output)?

  static let operators: [Case] =
    [2, 8, 32, 128, 512, 2048].map {
      Case(
        name: "linear-\($0)", title: "linear layer 1024 → 4096, \($0) rows",
        operations: 2 * Double($0) * 1024 * 4096)
    }
    + [
      Case(name: "adaptive-layer-norm", title: "AdaLN"),
      Case(name: "gelu", title: "GELU"),
      Case(name: "gated-residual", title: "gated residual"),
      Case(name: "group-norm-silu", title: "GroupNorm and SiLU"),
      Case(
        name: "convolution-160-128", title: "convolution, 160 channels, 128 × 128", operations: convolution(160, 128)),
      Case(name: "convolution-640-16", title: "convolution, 640 channels, 16 × 16", operations: convolution(640, 16)),
      Case(
        name: "upsampled-convolution-320-64", title: "upsampled convolution, 320 channels, 64 × 64",
        operations: convolution(320, 128)),
      Case(name: "cross-entropy", title: "cross-entropy with backward"),
      Case(name: "adamw", title: "AdamW"),
      Case(name: "filter-and-sample", title: "top-k, top-p and sampling"),
      Case(name: "dense-forward", title: "dense attention, scales 0–7 of 4 images, forward", operations: dense),
      Case(name: "dense-both", title: "… with backward", operations: 3.5 * dense),
    ]

  static let windowed: [Case] = [16, 64].flatMap { side in
    let aim = side == 16 ? 0.40 : 0.06
    return [
      Case(
        name: "window-\(side)-forward", title: "windowed attention, \(side) × \(side), forward",
        operations: window(Double(side)), aims: [(.float32, aim)]),
      Case(
        name: "window-\(side)-both", title: "windowed attention, \(side) × \(side), with backward",
        operations: 3.5 * window(Double(side)), aims: [(.float32, aim)]),
    ]
  }

  static let models: [Case] = [
    Case(
      name: "transformer-1", title: "transformer, 1 image", kind: .transformer, operations: 2 * sampling(1),
      aims: [(.float32, 0.82), (.bf16, 0.80), (.int8, 0.65)], memoryAims: [.bf16: 0.70],
      output: ("transformer", .logits(vocabulary: 4096))),
    Case(
      name: "transformer-4", title: "transformer, 4 images", kind: .transformer, operations: 2 * sampling(4),
      aims: [(.float32, nil), (.bf16, nil), (.int8, nil)], output: ("transformer", .logits(vocabulary: 4096))),
    Case(
      name: "decode-1", title: "tokenizer decode", kind: .decode, operations: 2 * tokenizer.decoder.products,
      aims: [(.float32, nil), (.bf16, nil)], output: ("decode", .image)),
    Case(name: "encode-1", title: "tokenizer encode", operations: 2 * tokenizer.encoder.products),
    train("dense", "scales 0–7", 0..<8), train("8", "scale 8", 8..<9), train("9", "scale 9", 9..<10),
  ]

  private static func train(_ part: String, _ scales: String, _ range: Range<Int>) -> Case {
    Case(
      name: "train-\(part)", title: "training step, batch 4, \(scales)", kind: .train,
      operations: 2 * 4 * TransformerCost(TransformerConfiguration(depth: 16)).trainingProducts(scales: range),
      aims: [(.float32, nil), (.bf16, 0.80)], memoryAims: [.float32: 0.70], tolerance: 5e-3)
  }

  /// A 3 × 3 convolution that keeps the width.
  private static func convolution(_ width: Double, _ side: Double) -> Double { 2 * 9 * width * width * side * side }
  /// QKᵀ and AV for 16 heads of width 64 over the eight dense scales, four images.
  private static let dense: Double = {
    let pairs = ScaleList.pixels256.sides.prefix(8).map { Double($0 * $0 * $0 * $0) }.reduce(0, +)
    return 2 * 2 * 4 * pairs * 1024
  }()
  /// QKᵀ and AV for 16 heads of width 64, 7 × 7 keys per query. With the backward it is 3.5 times as much: QKᵀ again,
  /// and four products of the same size.
  private static func window(_ side: Double) -> Double { 2 * 2 * side * side * 49 * 1024 }
  /// Multiply-accumulates for sampling some images with guidance.
  private static func sampling(_ count: Double) -> Double {
    2 * count * TransformerCost(TransformerConfiguration(depth: 16)).products
  }
  private static let tokenizer = TokenizerCost(TokenizerConfiguration())
}
