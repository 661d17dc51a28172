// The weights of the transformer's layers before training, as in the published recipe: what most of them have, and what the last
// layer of a residual branch has, so that the sum of 2·depth branches is as large as one.

extension TransformerConfiguration {
  /// Normally distributed, σ = √(1/(3C)), cut at ±2.
  var initialWeight: InitialValue { .normal(deviation: (1 / Double(3 * width)).squareRoot(), cut: 2) }

  /// The same divided by √(2·depth), for the last layer of a residual branch.
  var initialBranchWeight: InitialValue { initialWeight.times(1 / Double(2 * depth).squareRoot()) }
}
