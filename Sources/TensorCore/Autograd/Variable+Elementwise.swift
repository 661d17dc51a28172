// Element-wise operators, rearrangements, resampling and losses on variables: each is the operator with its pullback.

extension Variable {
  /// α·self + β·other.
  public consuming func combined(times alpha: B.Scalar, _ other: Variable, times beta: B.Scalar) -> Variable {
    guard let tape = tape ?? other.tape else {
      return Variable(B.combine(takeValue(), times: alpha, other.value, times: beta))
    }
    let output = B.combine(value, times: alpha, other.value, times: beta)
    return tape.record(output, inputs: [self, other]) { dOutput in
      [
        alpha == 1 ? dOutput : B.multiply(dOutput, by: alpha),
        beta == 1 ? dOutput : B.multiply(dOutput, by: beta),
      ]
    }
  }

  /// The sum of two variables of one shape.
  public static func + (left: Variable, right: Variable) -> Variable { left.combined(times: 1, right, times: 1) }

  /// The difference of two variables of one shape.
  public static func - (left: Variable, right: Variable) -> Variable { left.combined(times: 1, right, times: -1) }

  /// α·self.
  public func scaled(by alpha: B.Scalar) -> Variable {
    let output = B.multiply(value, by: alpha)
    guard let tape else { return Variable(output) }
    return tape.record(output, inputs: [self]) { [B.multiply($0, by: alpha)] }
  }

  /// self [B, ...] + rows [...], the same for every element of the first axis.
  public func adding(rows: Variable) -> Variable {
    let output = B.addRows(value, rows: rows.value)
    guard let tape = Self.tape([self, rows]) else { return Variable(output) }
    return tape.record(output, inputs: [self, rows]) { [$0, B.dAddRows($0)] }
  }

  /// SiLU.
  public func silu() -> Variable {
    let output = B.silu(value)
    guard let tape else { return Variable(output) }
    let x = value
    return tape.record(output, inputs: [self]) { [B.dSilu($0, x: x)] }
  }

  /// GELU in its tanh form.
  public consuming func geluTanh() -> Variable {
    guard let tape else { return Variable(B.geluTanh(takeValue())) }
    let x = value
    let output = B.geluTanh(x)
    // As wide as x: computing it again takes a thousandth of the layer that reads it.
    return tape.record(output, inputs: [self]) { [B.dGeluTanh($0, x: x)] }.recomputable { B.geluTanh(x) }
  }

  /// The same elements with another shape.
  public func reshaped(_ shape: Shape) -> Variable {
    let output = value.reshaped(shape)
    guard let tape else { return Variable(output) }
    let old = value.shape
    return tape.record(output, inputs: [self]) { [$0.reshaped(old)] }
  }

  /// The last two axes exchanged.
  public func transposed() -> Variable {
    let output = B.transpose(value)
    guard let tape else { return Variable(output) }
    return tape.record(output, inputs: [self]) { [B.transpose($0)] }
  }

  /// Part of an axis.
  public func slice(axis: Int, _ range: Range<Int>) -> Variable {
    let output = B.slice(value, axis: axis, range)
    guard let tape else { return Variable(output) }
    let shape = value.shape
    return tape.record(output, inputs: [self]) { [B.dSlice($0, shape: shape, axis: axis, range)] }
  }

  /// Variables joined along an axis.
  public static func concatenated(_ parts: [Variable], axis: Int) -> Variable {
    if parts.count == 1 { return parts[0] }
    let output = B.concatenate(parts.map(\.value), axis: axis)
    guard let tape = tape(parts) else { return Variable(output) }
    let lengths = parts.map { $0.shape[axis] }
    return tape.record(output, inputs: parts) { dOutput in
      var start = 0
      return lengths.map { length in
        defer { start += length }
        return B.slice(dOutput, axis: axis, start..<start + length)
      }
    }
  }

  /// Adaptive average pooling of maps [B, C, H, W].
  public func areaResized(height: Int, width: Int) -> Variable {
    let output = B.areaResize(value, height: height, width: width)
    guard let tape else { return Variable(output) }
    let shape = value.shape
    return tape.record(output, inputs: [self]) { [B.dAreaResize($0, height: shape[2], width: shape[3])] }
  }

  /// Bicubic interpolation of maps [B, C, H, W].
  public func bicubicResized(height: Int, width: Int) -> Variable {
    let output = B.bicubicResize(value, height: height, width: width)
    guard let tape else { return Variable(output) }
    let shape = value.shape
    return tape.record(output, inputs: [self]) { [B.dBicubicResize($0, height: shape[2], width: shape[3])] }
  }

  /// Every pixel of maps [B, C, H, W] repeated twice in both directions.
  public func upsampledNearest() -> Variable {
    let output = B.upsampleNearest(value)
    guard let tape else { return Variable(output) }
    return tape.record(output, inputs: [self]) { [B.dUpsampleNearest($0)] }
  }

  /// Cross-entropy per row [..., V] → [...]; see `LossOps.crossEntropy`.
  public func crossEntropy(targets: Indices<B>, labelSmoothing: B.Scalar = 0) -> Variable {
    let (losses, logSumExp) = B.crossEntropy(value, targets: targets, labelSmoothing: labelSmoothing)
    guard let tape else { return Variable(losses) }
    let logits = value
    return tape.record(losses, inputs: [self]) { dLosses in
      [
        B.dCrossEntropy(
          dLosses, logits: logits, targets: targets, labelSmoothing: labelSmoothing, logSumExp: logSumExp)
      ]
    }
  }

  /// The mean of (self − other)² → [1].
  public func meanSquaredError(_ other: Variable) -> Variable {
    let output = B.meanSquaredError(value, other.value)
    guard let tape = Self.tape([self, other]) else { return Variable(output) }
    let (x, y) = (value, other.value)
    let (wantsX, wantsY) = (id != nil, other.id != nil)
    return tape.record(output, inputs: [self, other]) { dOutput in
      let dX = B.dMeanSquaredError(dOutput, x, y)
      return [wantsX ? dX : nil, wantsY ? B.multiply(dX, by: -1) : nil]
    }
  }

  /// The mean of |self − other| → [1].
  public func meanAbsoluteError(_ other: Variable) -> Variable {
    let output = B.meanAbsoluteError(value, other.value)
    guard let tape = Self.tape([self, other]) else { return Variable(output) }
    let (x, y) = (value, other.value)
    let (wantsX, wantsY) = (id != nil, other.id != nil)
    return tape.record(output, inputs: [self, other]) { dOutput in
      let dX = B.dMeanAbsoluteError(dOutput, x, y)
      return [wantsX ? dX : nil, wantsY ? B.multiply(dX, by: -1) : nil]
    }
  }

  /// α·Σ of all elements → [1].
  public func sum(times alpha: B.Scalar = 1) -> Variable {
    let output = B.sum(value, times: alpha)
    guard let tape else { return Variable(output) }
    let shape = value.shape
    return tape.record(output, inputs: [self]) { [B.dSum($0, shape: shape, times: alpha)] }
  }

  /// The value of `other` with the gradient of self: self + stop(other − self).
  public func straightThrough(_ other: Tensor<B>) -> Variable {
    guard let tape else { return Variable(other) }
    return tape.record(other, inputs: [self]) { [$0] }
  }
}
