// What is measured: the names that both sides know, the amount of arithmetic, the target ratio, and how closely the
// results of the two sides must agree.

import MVAR

/// One benchmark case.
struct Case {
  /// The name that both sides know.
  let name: String
  /// Multiplications and additions of the direct algorithm; nil where they are not meaningful.
  var operations: Double?
  /// The target ratio.
  var aim: Double?
  /// How much the values that describe the results may differ, relative to the larger.
  var tolerance = 1e-3

  static let operators: [Case] =
    [Case(name: "matrix", operations: 2 * 512 * 1024 * 4096)]
    + [2, 8, 32, 128, 512, 2048].map {
      Case(name: "linear-\($0)", operations: 2 * Double($0) * 1024 * 4096)
    }
    + [
      Case(name: "adaptive-layer-norm"),
      Case(name: "gelu"),
      Case(name: "gated-residual"),
      Case(name: "group-norm-silu"),
      Case(name: "convolution-160-128", operations: convolution(160, 128)),
      Case(name: "convolution-640-16", operations: convolution(640, 16)),
      Case(name: "upsampled-convolution-320-64", operations: convolution(320, 128)),
      Case(name: "cross-entropy"),
      Case(name: "adamw"),
      Case(name: "filter-and-sample"),
      Case(name: "dense-forward", operations: dense),
      Case(name: "dense-both", operations: 3.5 * dense),
    ]

  static let windowed: [Case] = [
    Case(name: "window-16-forward", operations: window(16), aim: 0.40),
    Case(name: "window-16-both", operations: 3.5 * window(16), aim: 0.40),
    Case(name: "window-64-forward", operations: window(64), aim: 0.06),
    Case(name: "window-64-both", operations: 3.5 * window(64), aim: 0.06),
  ]

  static let models: [Case] = [
    Case(name: "transformer-1", operations: 2 * sampling(1), aim: 0.55),
    Case(name: "transformer-4", operations: 2 * sampling(4), aim: 0.62),
    Case(name: "decode-1", operations: 2 * tokenizer.decoder.products, aim: 0.50),
    Case(name: "encode-1", operations: 2 * tokenizer.encoder.products, aim: 0.50),
    Case(name: "train-dense", aim: 0.65, tolerance: 5e-3),
    Case(name: "train-8", aim: 0.65, tolerance: 5e-3),
    Case(name: "train-9", aim: 0.65, tolerance: 5e-3),
  ]

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
