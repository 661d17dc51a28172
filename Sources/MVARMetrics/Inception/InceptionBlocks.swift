// The parts of the network, one type for each kind of block. Branches stand in the order in which their results are joined.
//
// A branch that pools by averages convolves first and pools after, which is the same: both are linear, the window's mean
// does not change a constant, and fewer channels are left to pool.

import TensorCore

/// A convolution with a folded norm, and ReLU.
struct ConvolutionUnit<B: FeatureBackend>: Sendable {
  let weight: Tensor<B>
  let bias: Tensor<B>
  let parameters: ConvolutionParameters

  /// ReLU(W ∗ x + b)
  func callAsFunction(_ x: Tensor<B>) -> Tensor<B> { B.relu(linear(x)) }

  /// W ∗ x + b
  func linear(_ x: Tensor<B>) -> Tensor<B> { B.convolution(x, weight: weight, bias: bias, parameters) }
}

/// A chain of units.
private func chain<B: FeatureBackend>(_ units: [ConvolutionUnit<B>], _ x: Tensor<B>) -> Tensor<B> {
  units.reduce(x) { $1($0) }
}

private let halving = PoolingWindow(side: 3, stride: 2)
private let neighbors = PoolingWindow(side: 3, padding: 1)

/// The layers before the blocks.
struct InceptionStem<B: FeatureBackend>: Sendable {
  private let before: [ConvolutionUnit<B>]
  private let after: [ConvolutionUnit<B>]

  init(_ builder: InceptionBuilder<B>) throws {
    before = try [
      builder.unit("Conv2d_1a_3x3", from: 3, to: 32, 3, stride: 2),
      builder.unit("Conv2d_2a_3x3", from: 32, to: 32, 3),
      builder.unit("Conv2d_2b_3x3", from: 32, to: 64, 3, padding: 1),
    ]
    after = try [
      builder.unit("Conv2d_3b_1x1", from: 64, to: 80, 1),
      builder.unit("Conv2d_4a_3x3", from: 80, to: 192, 3),
    ]
  }

  /// [N, 3, 299, 299] → [N, 64, 73, 73]
  func first(_ x: Tensor<B>) -> Tensor<B> { B.maxPool(chain(before, x), halving) }
  /// [N, 64, 73, 73] → [N, 192, 35, 35]
  func second(_ x: Tensor<B>) -> Tensor<B> { B.maxPool(chain(after, x), halving) }
}

/// 35 × 35: 1 × 1, 5 × 5, two 3 × 3, mean.
struct InceptionA<B: FeatureBackend>: Sendable {
  private let one: ConvolutionUnit<B>
  private let five: [ConvolutionUnit<B>]
  private let double: [ConvolutionUnit<B>]
  private let pool: ConvolutionUnit<B>

  init(_ builder: InceptionBuilder<B>, _ name: String, from inputs: Int, pooled: Int) throws {
    one = try builder.unit("\(name).branch1x1", from: inputs, to: 64, 1)
    five = try [
      builder.unit("\(name).branch5x5_1", from: inputs, to: 48, 1),
      builder.unit("\(name).branch5x5_2", from: 48, to: 64, 5, padding: 2),
    ]
    double = try [
      builder.unit("\(name).branch3x3dbl_1", from: inputs, to: 64, 1),
      builder.unit("\(name).branch3x3dbl_2", from: 64, to: 96, 3, padding: 1),
      builder.unit("\(name).branch3x3dbl_3", from: 96, to: 96, 3, padding: 1),
    ]
    pool = try builder.unit("\(name).branch_pool", from: inputs, to: pooled, 1)
  }

  func callAsFunction(_ x: Tensor<B>) -> Tensor<B> {
    B.concatenate(
      [one(x), chain(five, x), chain(double, x), B.relu(B.averagePool(pool.linear(x), neighbors))], axis: 1)
  }
}

/// 35 × 35 → 17 × 17.
struct InceptionB<B: FeatureBackend>: Sendable {
  private let three: ConvolutionUnit<B>
  private let double: [ConvolutionUnit<B>]

  init(_ builder: InceptionBuilder<B>, _ name: String) throws {
    three = try builder.unit("\(name).branch3x3", from: 288, to: 384, 3, stride: 2)
    double = try [
      builder.unit("\(name).branch3x3dbl_1", from: 288, to: 64, 1),
      builder.unit("\(name).branch3x3dbl_2", from: 64, to: 96, 3, padding: 1),
      builder.unit("\(name).branch3x3dbl_3", from: 96, to: 96, 3, stride: 2),
    ]
  }

  func callAsFunction(_ x: Tensor<B>) -> Tensor<B> {
    B.concatenate([three(x), chain(double, x), B.maxPool(x, halving)], axis: 1)
  }
}

/// 17 × 17: 7 × 7 as rows and columns.
struct InceptionC<B: FeatureBackend>: Sendable {
  private let one: ConvolutionUnit<B>
  private let seven: [ConvolutionUnit<B>]
  private let double: [ConvolutionUnit<B>]
  private let pool: ConvolutionUnit<B>

  init(_ builder: InceptionBuilder<B>, _ name: String, inner: Int) throws {
    one = try builder.unit("\(name).branch1x1", from: 768, to: 192, 1)
    seven = try [
      builder.unit("\(name).branch7x7_1", from: 768, to: inner, 1),
      builder.row("\(name).branch7x7_2", from: inner, to: inner, 7),
      builder.column("\(name).branch7x7_3", from: inner, to: 192, 7),
    ]
    double = try [
      builder.unit("\(name).branch7x7dbl_1", from: 768, to: inner, 1),
      builder.column("\(name).branch7x7dbl_2", from: inner, to: inner, 7),
      builder.row("\(name).branch7x7dbl_3", from: inner, to: inner, 7),
      builder.column("\(name).branch7x7dbl_4", from: inner, to: inner, 7),
      builder.row("\(name).branch7x7dbl_5", from: inner, to: 192, 7),
    ]
    pool = try builder.unit("\(name).branch_pool", from: 768, to: 192, 1)
  }

  /// - Returns: the joined branches, and the first of them.
  func callAsFunction(_ x: Tensor<B>) -> (output: Tensor<B>, first: Tensor<B>) {
    let first = one(x)
    let output = B.concatenate(
      [first, chain(seven, x), chain(double, x), B.relu(B.averagePool(pool.linear(x), neighbors))], axis: 1)
    return (output, first)
  }
}

/// 17 × 17 → 8 × 8.
struct InceptionD<B: FeatureBackend>: Sendable {
  private let three: [ConvolutionUnit<B>]
  private let seven: [ConvolutionUnit<B>]

  init(_ builder: InceptionBuilder<B>, _ name: String) throws {
    three = try [
      builder.unit("\(name).branch3x3_1", from: 768, to: 192, 1),
      builder.unit("\(name).branch3x3_2", from: 192, to: 320, 3, stride: 2),
    ]
    seven = try [
      builder.unit("\(name).branch7x7x3_1", from: 768, to: 192, 1),
      builder.row("\(name).branch7x7x3_2", from: 192, to: 192, 7),
      builder.column("\(name).branch7x7x3_3", from: 192, to: 192, 7),
      builder.unit("\(name).branch7x7x3_4", from: 192, to: 192, 3, stride: 2),
    ]
  }

  func callAsFunction(_ x: Tensor<B>) -> Tensor<B> {
    B.concatenate([chain(three, x), chain(seven, x), B.maxPool(x, halving)], axis: 1)
  }
}

/// 8 × 8: 3 × 3 as a row and a column side by side.
struct InceptionE<B: FeatureBackend>: Sendable {
  private let one: ConvolutionUnit<B>
  private let three: ConvolutionUnit<B>
  private let threeParts: [ConvolutionUnit<B>]
  private let double: [ConvolutionUnit<B>]
  private let doubleParts: [ConvolutionUnit<B>]
  private let pool: ConvolutionUnit<B>
  private let takesLargest: Bool

  /// - Parameter takesLargest: whether the last branch pools by the largest value instead of the mean.
  init(_ builder: InceptionBuilder<B>, _ name: String, from inputs: Int, takesLargest: Bool) throws {
    one = try builder.unit("\(name).branch1x1", from: inputs, to: 320, 1)
    three = try builder.unit("\(name).branch3x3_1", from: inputs, to: 384, 1)
    threeParts = try [
      builder.row("\(name).branch3x3_2a", from: 384, to: 384, 3),
      builder.column("\(name).branch3x3_2b", from: 384, to: 384, 3),
    ]
    double = try [
      builder.unit("\(name).branch3x3dbl_1", from: inputs, to: 448, 1),
      builder.unit("\(name).branch3x3dbl_2", from: 448, to: 384, 3, padding: 1),
    ]
    doubleParts = try [
      builder.row("\(name).branch3x3dbl_3a", from: 384, to: 384, 3),
      builder.column("\(name).branch3x3dbl_3b", from: 384, to: 384, 3),
    ]
    pool = try builder.unit("\(name).branch_pool", from: inputs, to: 192, 1)
    self.takesLargest = takesLargest
  }

  func callAsFunction(_ x: Tensor<B>) -> Tensor<B> {
    let (h, d) = (three(x), chain(double, x))
    let pooled =
      takesLargest ? pool(B.maxPool(x, neighbors)) : B.relu(B.averagePool(pool.linear(x), neighbors))
    return B.concatenate([one(x)] + threeParts.map { $0(h) } + doubleParts.map { $0(d) } + [pooled], axis: 1)
  }
}
