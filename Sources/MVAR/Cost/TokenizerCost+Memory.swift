// What a tokenizer keeps in memory while it works and while it is trained, from its configuration alone. Unlike the account of
// `TransformerCost` this one is from below: whoever refuses what does not fit must not refuse what would.
//
// The rule: at the finest resolution five maps of its width are alive at once, in a residual block; a training keeps the
// input of every convolution until its backward. Attention, norms, the search for codes and scratch memory do not count.

extension TokenizerCost {
  /// The bytes of the maps that are alive at once while images are encoded or decoded, at least.
  public func codingBytes(batch: Int = 1, bytesPerNumber: Int = 4) -> Double {
    let pixels = Double(configuration.imageSide) * Double(configuration.imageSide)
    return 5 * Double(batch) * pixels * Double(configuration.widths[0]) * Double(bytesPerNumber)
  }

  /// The bytes of the inputs of all convolutions, which a training step keeps, at least.
  public func trainingBytes(batch: Int, bytesPerNumber: Int = 4) -> Double {
    let inputs = encoder.convolutionInputs + 2 * codeConvolution.convolutionInputs + decoder.convolutionInputs
    return Double(batch) * max(inputs * Double(bytesPerNumber), codingBytes(bytesPerNumber: bytesPerNumber))
  }

  /// The bytes of the parameters, their gradients and the optimizer's two moments.
  public func optimizedBytes(bytesPerNumber: Int = 4) -> Double { 4 * parameters * Double(bytesPerNumber) }
}
