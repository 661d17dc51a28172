// Operators of other packages on variables: what was computed, with its pullback.

extension Variable {
  /// The result of an operator that this library does not know: what you have computed, with its pullback.
  ///
  /// The operator below is complete, with one output:
  ///
  ///     extension Variable where B == CPU<Double> {
  ///       /// x², element by element.
  ///       func squared() -> Variable {
  ///         let x = value
  ///         let output = Tensor<B>(unsafeUninitializedShape: x.shape, on: x.device) { y in
  ///           x.withUnsafeBufferPointer { x in for i in x.indices { y[i] = x[i] * x[i] } }
  ///         }
  ///         return .recorded(output, inputs: [self]) { dOutput in
  ///           let dX = Tensor<B>(unsafeUninitializedShape: x.shape, on: x.device) { dX in
  ///             x.withUnsafeBufferPointer { x in
  ///               dOutput.withUnsafeBufferPointer { dY in for i in x.indices { dX[i] = 2 * x[i] * dY[i] } }
  ///             }
  ///           }
  ///           return [dX]
  ///         }
  ///       }
  ///     }
  ///
  /// - Parameters:
  ///   - output: what the operator has computed.
  ///   - inputs: the variables that it depends on.
  ///   - pullback: see `Tape.record(_:inputs:pullback:)`; never called where no input is on a tape.
  public static func recorded(
    _ output: Tensor<B>, inputs: [Variable], pullback: @escaping (Tensor<B>) -> [Tensor<B>?]
  ) -> Variable {
    tape(inputs)?.record(output, inputs: inputs, pullback: pullback) ?? Variable(output)
  }

  /// The results of an operator with several outputs that this library does not know.
  ///
  /// - Parameters:
  ///   - outputs: what the operator has computed.
  ///   - inputs: the variables that it depends on.
  ///   - pullback: see `Tape.record(_:inputs:pullback:)`: it receives nil for an output that nothing depends on.
  public static func recorded(
    _ outputs: [Tensor<B>], inputs: [Variable], pullback: @escaping ([Tensor<B>?]) -> [Tensor<B>?]
  ) -> [Variable] {
    tape(inputs)?.record(outputs, inputs: inputs, pullback: pullback) ?? outputs.map { Variable($0) }
  }
}
