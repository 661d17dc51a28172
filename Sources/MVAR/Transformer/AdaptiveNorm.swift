// AdaLN: how the class conditions every block. Linear(SiLU(condition)) gives γ1, γ2, scale1, scale2, shift1, shift2 (in
// this order) per block; the head has its own scale and shift. None of these vectors depends on the scale being
// sampled, so they are computed once per image.

import TensorCore

/// The ε of every layer norm of the transformer.
let layerNormEpsilon = 1e-6

/// The six vectors of a block, each [B, C].
public struct BlockModulation<B: Backend> {
  let attentionGain: Variable<B>
  let feedForwardGain: Variable<B>
  let attentionScale: Variable<B>
  let feedForwardScale: Variable<B>
  let attentionShift: Variable<B>
  let feedForwardShift: Variable<B>
  /// The bias of the block's qkv projection [3C], which is also the same at all scales; nil to assemble it for each
  /// scale.
  var qkvBias: Variable<B>?

  /// Splits [B, 6, C] into its six vectors.
  package init(_ six: Variable<B>) {
    let batch = six.shape[0]
    let width = six.shape[2]
    let vectors = (0..<6).map { six.slice(axis: 1, $0..<$0 + 1).reshaped([batch, width]) }  // [B, C]
    attentionGain = vectors[0]
    feedForwardGain = vectors[1]
    attentionScale = vectors[2]
    feedForwardScale = vectors[3]
    attentionShift = vectors[4]
    feedForwardShift = vectors[5]
  }
}

/// Everything in the transformer that is the same at all scales: what depends only on the class, or on nothing.
public struct Condition<B: Backend> {
  /// class_emb[label] [B, C]: the first token before its position is added.
  let classVector: Variable<B>
  /// The six vectors of each block.
  package let blocks: [BlockModulation<B>]
  /// The scale of the last norm [B, C].
  let headScale: Variable<B>
  /// The shift of the last norm [B, C].
  let headShift: Variable<B>
}

/// How a block derives its vectors from the condition: its own projection, or an offset to the shared one.
enum ModulationSource<B: Backend>: Sendable {
  /// Linear(SiLU(condition)) [6C, C].
  case own(Linear<B>)
  /// An offset [1, 1, 6, C] to the projection that all blocks share.
  case sharedWith(offset: Parameter<B>)

  /// - Parameters:
  ///   - activated: SiLU(condition) [B, C]
  ///   - shared: the shared projection [B, 6, C], if the model has one.
  func callAsFunction(activated: Variable<B>, shared: Variable<B>?) -> BlockModulation<B> {
    let batch = activated.shape[0]
    let width = activated.shape[1]
    switch self {
    case .own(let projection):
      return BlockModulation(projection(activated).reshaped([batch, 6, width]))  // [B, 6, C]
    case .sharedWith(let offset):
      return BlockModulation(shared!.adding(rows: offset.variable(activated.tape).reshaped([6, width])))  // [B, 6, C]
    }
  }
}
