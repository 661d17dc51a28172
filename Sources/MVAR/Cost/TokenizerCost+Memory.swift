// What a tokenizer keeps in memory during inference and training, computed from its configuration alone. Unlike that of
// `TransformerCost`, this estimate is a lower bound: a check that rejects what does not fit must not reject what would
// fit.
//
// The rule: at the finest resolution five maps of its width are alive at once, in a residual block; training keeps the
// input of every convolution until its backward. Attention, norms, the code search and scratch memory do not count.

extension TokenizerCost {
  /// At least this many bytes of maps are alive at once while images are encoded or decoded.
  public func codingBytes(batch: Int = 1, bytesPerNumber: Int = 4) -> Double {
    let pixels = Double(configuration.imageSide) * Double(configuration.imageSide)
    return 5 * Double(batch) * pixels * Double(configuration.widths[0]) * Double(bytesPerNumber)
  }

  /// At least this many bytes of convolution inputs are kept by a training step.
  public func trainingBytes(batch: Int, bytesPerNumber: Int = 4) -> Double {
    let inputs = encoder.convolutionInputs + 2 * codeConvolution.convolutionInputs + decoder.convolutionInputs
    return Double(batch) * max(inputs * Double(bytesPerNumber), codingBytes(bytesPerNumber: bytesPerNumber))
  }

  /// The bytes of the parameters, their gradients and the optimizer's two moments.
  public func optimizedBytes(bytesPerNumber: Int = 4) -> Double { 4 * parameters * Double(bytesPerNumber) }
}
