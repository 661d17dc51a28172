// The tensors of `BlockByHand`: weights, the six AdaLN vectors, what the forward keeps, and the gradients.
//
// A gradient has the shape of its tensor, so the gradients of weights and vectors are returned in the same structs.
// This file deliberately computes nothing: it names tensors and passes them on, including from a model to a block by
// hand.

import TensorCore

/// The trained tensors of a block, or their gradients.
public struct BlockWeights<B: BackendTypes>: Sendable {
  /// Wⱼ [3C, C]: queries, keys and values.
  public let qkvWeight: Tensor<B>
  /// b_q [C]
  public let queryBias: Tensor<B>
  /// b_v [C]
  public let valueBias: Tensor<B>
  /// s [H]; nil where queries and keys are not normalized.
  public let logitScale: Tensor<B>?
  /// Wₚ [C, C]
  public let projectionWeight: Tensor<B>
  /// bₚ [C]
  public let projectionBias: Tensor<B>
  /// W₁ [4C, C]
  public let fc1Weight: Tensor<B>
  /// b₁ [4C]
  public let fc1Bias: Tensor<B>
  /// W₂ [C, 4C]
  public let fc2Weight: Tensor<B>
  /// b₂ [C]
  public let fc2Bias: Tensor<B>

  /// Bundles the tensors.
  public init(
    qkvWeight: Tensor<B>, queryBias: Tensor<B>, valueBias: Tensor<B>, logitScale: Tensor<B>?,
    projectionWeight: Tensor<B>, projectionBias: Tensor<B>, fc1Weight: Tensor<B>, fc1Bias: Tensor<B>,
    fc2Weight: Tensor<B>, fc2Bias: Tensor<B>
  ) {
    self.qkvWeight = qkvWeight
    self.queryBias = queryBias
    self.valueBias = valueBias
    self.logitScale = logitScale
    self.projectionWeight = projectionWeight
    self.projectionBias = projectionBias
    self.fc1Weight = fc1Weight
    self.fc1Bias = fc1Bias
    self.fc2Weight = fc2Weight
    self.fc2Bias = fc2Bias
  }
}

/// The six vectors that modulate a block, each [B, C], or their gradients.
public struct BlockVectors<B: BackendTypes>: Sendable {
  /// γ1
  public let attentionGain: Tensor<B>
  /// γ2
  public let feedForwardGain: Tensor<B>
  /// scale1
  public let attentionScale: Tensor<B>
  /// scale2
  public let feedForwardScale: Tensor<B>
  /// shift1
  public let attentionShift: Tensor<B>
  /// shift2
  public let feedForwardShift: Tensor<B>

  /// Bundles the vectors, in the order in which the projection of the class gives them.
  public init(
    attentionGain: Tensor<B>, feedForwardGain: Tensor<B>, attentionScale: Tensor<B>, feedForwardScale: Tensor<B>,
    attentionShift: Tensor<B>, feedForwardShift: Tensor<B>
  ) {
    self.attentionGain = attentionGain
    self.feedForwardGain = feedForwardGain
    self.attentionScale = attentionScale
    self.feedForwardScale = feedForwardScale
    self.attentionShift = attentionShift
    self.feedForwardShift = feedForwardShift
  }
}

/// One attention call: which tokens see which.
public enum AttentionCall: Hashable, Sendable {
  /// Each span of queries sees its span of keys: one span per scale.
  case dense([AttentionSpan])
  /// On a map of side × side tokens, each sees the window × window tokens around itself.
  case windowed(window: Int, side: Int)
}

/// What the backward of a block needs.
///
/// The forward computes all of it anyway. A kernel may keep less: u1 and u2 follow from their norms, q, k and v from j,
/// and g from h; it trades their memory for recomputation.
public struct BlockSaved<B: BackendTypes>: Sendable {
  /// x [B, N, C] with the mean and reciprocal deviation of every token.
  public let attentionNorm: LayerNormSaved<B>
  /// u1 = LN(x)·(1 + scale1) + shift1 [B, N, C]
  public let attentionInput: Tensor<B>
  /// j [B, N, 3C]
  public let qkv: Tensor<B>
  /// q, k, v and o, each [B, N, H, c], and the log-sum-exp [B, N, H] of every query.
  public let attention: AttentionSaved<B>
  /// a [B, N, C]
  public let attended: Tensor<B>
  /// m [B, N, C] with the mean and reciprocal deviation of every token.
  public let feedForwardNorm: LayerNormSaved<B>
  /// u2 = LN(m)·(1 + scale2) + shift2 [B, N, C]
  public let feedForwardInput: Tensor<B>
  /// h [B, N, 4C]
  public let hidden: Tensor<B>
  /// g = GELU(h) [B, N, 4C]
  public let activated: Tensor<B>
  /// f [B, N, C]
  public let ffn: Tensor<B>
}

/// The gradients of a block.
public struct BlockGradients<B: BackendTypes>: Sendable {
  /// With respect to x [B, N, C].
  public let x: Tensor<B>
  /// With respect to the six vectors, each [B, C].
  public let vectors: BlockVectors<B>
  /// With respect to the trained tensors.
  public let weights: BlockWeights<B>
}

// MARK: From a model

extension BlockVectors where B: Backend {
  /// The vectors that a class gives one block.
  public init(_ condition: Condition<B>, block: Int) {
    let six = condition.blocks[block]
    self.init(
      attentionGain: six.attentionGain.value, feedForwardGain: six.feedForwardGain.value,
      attentionScale: six.attentionScale.value, feedForwardScale: six.feedForwardScale.value,
      attentionShift: six.attentionShift.value, feedForwardShift: six.feedForwardShift.value)
  }
}

extension MarkovianTransformer {
  /// A block of this model by hand, for some scales.
  ///
  /// - Parameters:
  ///   - index: which block.
  ///   - scales: dense scales, or one windowed scale: any one segment of training.
  public func blockByHand(_ index: Int, scales: Range<Int>) -> BlockByHand<B> {
    precondition(trajectory.attentionGroups(of: scales).count == 1, "scales \(scales) need several attention calls")
    let (attention, feedForward) = (blocks[index].attention, blocks[index].feedForward)
    let first = scales.lowerBound
    return BlockByHand(
      weights: BlockWeights(
        qkvWeight: attention.qkvWeight.value, queryBias: attention.queryBias.value,
        valueBias: attention.valueBias.value,
        logitScale: attention.logitScale.map { $0.value.reshaped([attention.heads]) },
        projectionWeight: attention.projection.weight.value, projectionBias: attention.projection.bias.value,
        fc1Weight: feedForward.fc1.weight.value, fc1Bias: feedForward.fc1.bias.value,
        fc2Weight: feedForward.fc2.weight.value, fc2Bias: feedForward.fc2.bias.value),
      heads: attention.heads,
      call: trajectory.isWindowed(first)
        ? .windowed(window: trajectory.window, side: trajectory.scaleList.sides[first])
        : .dense(trajectory.spans(of: scales)))
  }
}
