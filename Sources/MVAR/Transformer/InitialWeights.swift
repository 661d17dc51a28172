// The weights of the transformer's layers before training, as in the published recipe: the default, and that of the
// last layer of a residual branch, which makes the sum of 2·depth branches as large as one branch.

extension TransformerConfiguration {
  /// Normally distributed, σ = √(1/(3C)), truncated at ±2.
  var initialWeight: InitialValue { .normal(deviation: (1 / Double(3 * width)).squareRoot(), cut: 2) }

  /// The same divided by √(2·depth), for the last layer of a residual branch.
  var initialBranchWeight: InitialValue { initialWeight.times(1 / Double(2 * depth).squareRoot()) }
}
