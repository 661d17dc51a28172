// The building blocks of the encoder and decoder: the residual blocks of one resolution, and the middle at the coarsest
// one.

import TensorCore

/// The residual blocks of one resolution, each followed by attention on the coarsest.
struct Level<B: Backend>: Sendable {
  let blocks: [ResidualBlock<B>]
  /// One per block, or none.
  let attentions: [SpatialAttention<B>]

  init(
    _ builder: ParameterBuilder<B>, _ name: String, from inputs: Int, to outputs: Int, blocks count: Int, attends: Bool
  ) {
    blocks = (0..<count).map {
      ResidualBlock(builder, "\(name).blocks.\($0)", from: $0 == 0 ? inputs : outputs, to: outputs)
    }
    attentions = (0..<(attends ? count : 0)).map {
      SpatialAttention(builder, "\(name).attentions.\($0)", width: outputs)
    }
  }

  /// [B, inputs, H, W] → [B, outputs, H, W]
  func callAsFunction(_ x: Variable<B>, trace: Trace<B>? = nil) -> Variable<B> {
    var x = x
    for (index, block) in blocks.enumerated() {
      x = block(x)
      trace?.note("block.\(index)", .tensor(x.value))
      if !attentions.isEmpty {
        x = attentions[index](x)
        trace?.note("attn.\(index)", .tensor(x.value))
      }
    }
    return x
  }
}

/// Residual block, attention, residual block at the coarsest resolution.
struct Middle<B: Backend>: Sendable {
  let firstBlock: ResidualBlock<B>
  let attention: SpatialAttention<B>
  let secondBlock: ResidualBlock<B>

  init(_ builder: ParameterBuilder<B>, _ name: String, width: Int) {
    firstBlock = ResidualBlock(builder, "\(name).firstBlock", from: width, to: width)
    attention = SpatialAttention(builder, "\(name).attention", width: width)
    secondBlock = ResidualBlock(builder, "\(name).secondBlock", from: width, to: width)
  }

  /// [B, W, H, W'] → the same shape
  func callAsFunction(_ x: Variable<B>, trace: Trace<B>? = nil) -> Variable<B> {
    secondBlock(attention(firstBlock(x).traced(trace, "block_1")).traced(trace, "attn_1")).traced(trace, "block_2")
  }
}
