// The attention of a block: qkv projection, heads, and per scale either dense attention or, from scale R on, the second
// Markov assumption: a query at (i, j) sees only the k × k window around it, shifted inward at the border. O(N k²)
// instead of O(N²). The other patterns (`AttentionPattern`) run through the same code, with dense spans only.

import Foundation
import TensorCore

/// Attention within each scale, windowed at the fine scales.
struct SpatialMarkovAttention<B: Backend>: Sendable {
  /// [1, H, 1, 1]: s in q ← q/‖q‖·exp(min(s, ln 100)); nil without L2 normalization.
  let logitScale: Parameter<B>?
  /// [C]
  let queryBias: Parameter<B>
  /// [C]; keys have no bias.
  let valueBias: Parameter<B>
  /// [3C, C]
  let qkvWeight: Parameter<B>
  let projection: Linear<B>
  let heads: Int
  let trajectory: ScaleTrajectory
  /// The factor of the logits: 1 when queries and keys are normalized, otherwise ¼/√c.
  let softmaxScale: B.Scalar

  init(_ builder: ParameterBuilder<B>, _ name: String, _ configuration: TransformerConfiguration) {
    let width = configuration.width
    heads = configuration.heads
    trajectory = ScaleTrajectory(configuration)
    logitScale =
      configuration.normalizesAttention
      ? builder.parameter("\(name).logitScale", [1, heads, 1, 1], initial: .constant(log(4.0))) : nil
    queryBias = builder.parameter("\(name).queryBias", [width], initial: .zeros)
    valueBias = builder.parameter("\(name).valueBias", [width], initial: .zeros)
    // The stream keeps the layer's original name.
    qkvWeight = builder.linearWeight(
      "\(name).qkv.weight", [3 * width, width],
      initial: configuration.initialWeight.sampled(as: "\(name).joint.weight"))
    projection = Linear(
      builder, "\(name).projection", from: width, to: width, weight: configuration.initialBranchWeight)
    softmaxScale =
      configuration.normalizesAttention ? 1 : B.Scalar(0.25 / Double(width / heads).squareRoot())
  }

  /// Tokens of some scales [B, N, C] → [B, N, C]
  ///
  /// - Parameters:
  ///   - bias: the qkv bias, if already assembled.
  ///   - cache: the keys and values of earlier scales, which VAR's later scales need.
  ///   - observe: receives the queries and all keys and values they attend to.
  ///   - trace: receives the result of every step.
  func callAsFunction(
    _ x: Variable<B>, bias: Variable<B>? = nil, scales: Range<Int>, cache: KeyValueCache<B>.BlockCache? = nil,
    observe: ((VariableHeads<B>) -> Void)? = nil, trace: Trace<B>? = nil
  ) -> Variable<B> {
    let qkv = x.linear(weight: qkvWeight.variable(x.tape), bias: bias ?? qkvBias(x.tape))
      .traced(trace, "qkv")  // [B, N, 3C]
    var parts = qkv.splitHeads(
      heads, logitScale: logitScale.map { $0.variable(x.tape).reshaped([heads]) }
    ).traced(trace)  // each [B, N, H, c]
    if let cache { parts = cache.extended(by: parts) }  // keys and values [B, M, H, c], M ≥ N
    observe?(parts)
    let groups = trajectory.attentionGroups(of: scales)
    let first = trajectory.scaleList.tokens(of: scales).lowerBound
    let mixed = groups.map { group in
      let tokens = trajectory.scaleList.tokens(of: group)
      let range = tokens.lowerBound - first..<tokens.upperBound - first
      return attend(groups.count == 1 ? parts : parts.slice(range), group)
    }
    return projection(Variable.concatenated(mixed, axis: 1).reshaped(x.shape).traced(trace, "attention"))
      .traced(trace, "proj")  // [B, N, C]
  }

  /// One attention call → [B, N, H, c]
  private func attend(_ parts: VariableHeads<B>, _ scales: Range<Int>) -> Variable<B> {
    guard trajectory.isWindowed(scales.lowerBound) else {
      return parts.attention(spans: trajectory.spans(of: scales), softmaxScale: softmaxScale)
    }
    let shape = parts.queries.shape
    let side = trajectory.scaleList.sides[scales.lowerBound]
    return parts.reshaped([shape[0], side, side, shape[2], shape[3]])  // [B, p, p, H, c]
      .neighborhoodAttention(window: trajectory.window, softmaxScale: softmaxScale)
      .reshaped(shape)  // [B, N, H, c]
  }

  /// [q_bias, 0, v_bias] [3C]
  func qkvBias(_ tape: Tape<B>?) -> Variable<B> {
    let none = Tensor<B>(repeating: 0, shape: queryBias.value.shape, on: queryBias.value.device)
    return Variable.concatenated([queryBias.variable(tape), Variable(none), valueBias.variable(tape)], axis: 0)
  }
}

extension VariableHeads {
  /// Some of the tokens.
  func slice(_ tokens: Range<Int>) -> VariableHeads {
    VariableHeads(
      queries: queries.slice(axis: 1, tokens), keys: keys.slice(axis: 1, tokens), values: values.slice(axis: 1, tokens))
  }
}
