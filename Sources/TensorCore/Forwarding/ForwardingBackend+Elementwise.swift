// Element-wise operators, rearrangements, resampling and losses, forwarded to the base. Where the base may write its
// result into the input's memory, no other reference to the input is kept.

extension ForwardingBackend {
  /// Forwards to the base.
  public static func combine(
    _ x: consuming Tensor<Self>, times alpha: Scalar, _ y: Tensor<Self>, times beta: Scalar
  ) -> Tensor<Self> {
    Base.combine(x.rewrapped(), times: alpha, y.rewrapped(), times: beta).rewrapped()
  }

  /// Forwards to the base.
  public static func multiply(_ x: consuming Tensor<Self>, by alpha: Scalar) -> Tensor<Self> {
    Base.multiply(x.rewrapped(), by: alpha).rewrapped()
  }

  /// Forwards to the base.
  public static func addRows(_ x: consuming Tensor<Self>, rows: Tensor<Self>) -> Tensor<Self> {
    Base.addRows(x.rewrapped(), rows: rows.rewrapped()).rewrapped()
  }

  /// Forwards to the base.
  public static func dAddRows(_ dOutput: Tensor<Self>) -> Tensor<Self> {
    Base.dAddRows(dOutput.rewrapped()).rewrapped()
  }

  /// Forwards to the base.
  public static func gatedResidual(
    _ x: consuming Tensor<Self>, branch: Tensor<Self>, gain: Tensor<Self>, keep: [Scalar]?
  ) -> Tensor<Self> {
    Base.gatedResidual(x.rewrapped(), branch: branch.rewrapped(), gain: gain.rewrapped(), keep: keep).rewrapped()
  }

  /// Forwards to the base.
  public static func dGatedResidual(_ dOutput: Tensor<Self>, branch: Tensor<Self>, gain: Tensor<Self>, keep: [Scalar]?)
    -> GatedResidualGradients<Self>
  {
    Base.dGatedResidual(dOutput.rewrapped(), branch: branch.rewrapped(), gain: gain.rewrapped(), keep: keep).rewrapped()
  }

  /// Forwards to the base.
  public static func silu(_ x: consuming Tensor<Self>) -> Tensor<Self> { Base.silu(x.rewrapped()).rewrapped() }

  /// Forwards to the base.
  public static func dSilu(_ dOutput: Tensor<Self>, x: Tensor<Self>) -> Tensor<Self> {
    Base.dSilu(dOutput.rewrapped(), x: x.rewrapped()).rewrapped()
  }

  /// Forwards to the base.
  public static func geluTanh(_ x: consuming Tensor<Self>) -> Tensor<Self> { Base.geluTanh(x.rewrapped()).rewrapped() }

  /// Forwards to the base.
  public static func dGeluTanh(_ dOutput: Tensor<Self>, x: Tensor<Self>) -> Tensor<Self> {
    Base.dGeluTanh(dOutput.rewrapped(), x: x.rewrapped()).rewrapped()
  }

  /// Forwards to the base.
  public static func softmax(_ x: consuming Tensor<Self>) -> Tensor<Self> { Base.softmax(x.rewrapped()).rewrapped() }

  /// Forwards to the base.
  public static func dSoftmax(_ dOutput: Tensor<Self>, output: Tensor<Self>) -> Tensor<Self> {
    Base.dSoftmax(dOutput.rewrapped(), output: output.rewrapped()).rewrapped()
  }

  /// Forwards to the base.
  public static func transpose(_ x: Tensor<Self>) -> Tensor<Self> { Base.transpose(x.rewrapped()).rewrapped() }

  /// Forwards to the base.
  public static func concatenate(_ parts: [Tensor<Self>], axis: Int) -> Tensor<Self> {
    Base.concatenate(parts.map { $0.rewrapped() }, axis: axis).rewrapped()
  }

  /// Forwards to the base.
  public static func slice(_ x: Tensor<Self>, axis: Int, _ range: Range<Int>) -> Tensor<Self> {
    Base.slice(x.rewrapped(), axis: axis, range).rewrapped()
  }

  /// Forwards to the base.
  public static func dSlice(_ dOutput: Tensor<Self>, shape: Shape, axis: Int, _ range: Range<Int>) -> Tensor<Self> {
    Base.dSlice(dOutput.rewrapped(), shape: shape, axis: axis, range).rewrapped()
  }
}

// MARK: Resampling

extension ForwardingBackend {
  /// Forwards to the base.
  public static func areaResize(_ x: Tensor<Self>, height: Int, width: Int) -> Tensor<Self> {
    Base.areaResize(x.rewrapped(), height: height, width: width).rewrapped()
  }

  /// Forwards to the base.
  public static func dAreaResize(_ dOutput: Tensor<Self>, height: Int, width: Int) -> Tensor<Self> {
    Base.dAreaResize(dOutput.rewrapped(), height: height, width: width).rewrapped()
  }

  /// Forwards to the base.
  public static func bicubicResize(_ x: Tensor<Self>, height: Int, width: Int) -> Tensor<Self> {
    Base.bicubicResize(x.rewrapped(), height: height, width: width).rewrapped()
  }

  /// Forwards to the base.
  public static func dBicubicResize(_ dOutput: Tensor<Self>, height: Int, width: Int) -> Tensor<Self> {
    Base.dBicubicResize(dOutput.rewrapped(), height: height, width: width).rewrapped()
  }

  /// Forwards to the base.
  public static func upsampleNearest(_ x: Tensor<Self>) -> Tensor<Self> {
    Base.upsampleNearest(x.rewrapped()).rewrapped()
  }

  /// Forwards to the base.
  public static func dUpsampleNearest(_ dOutput: Tensor<Self>) -> Tensor<Self> {
    Base.dUpsampleNearest(dOutput.rewrapped()).rewrapped()
  }
}

// MARK: Losses

extension ForwardingBackend {
  /// Forwards to the base.
  public static func crossEntropy(_ logits: Tensor<Self>, targets: Indices<Self>, labelSmoothing: Scalar)
    -> (losses: Tensor<Self>, logSumExp: Tensor<Self>)
  {
    let (losses, logSumExp) = Base.crossEntropy(
      logits.rewrapped(), targets: targets.rewrapped(), labelSmoothing: labelSmoothing)
    return (losses.rewrapped(), logSumExp.rewrapped())
  }

  /// Forwards to the base.
  public static func dCrossEntropy(
    _ dLosses: Tensor<Self>, logits: Tensor<Self>, targets: Indices<Self>, labelSmoothing: Scalar,
    logSumExp: Tensor<Self>
  ) -> Tensor<Self> {
    Base.dCrossEntropy(
      dLosses.rewrapped(), logits: logits.rewrapped(), targets: targets.rewrapped(), labelSmoothing: labelSmoothing,
      logSumExp: logSumExp.rewrapped()
    ).rewrapped()
  }

  /// Forwards to the base.
  public static func meanSquaredError(_ x: Tensor<Self>, _ y: Tensor<Self>) -> Tensor<Self> {
    Base.meanSquaredError(x.rewrapped(), y.rewrapped()).rewrapped()
  }

  /// Forwards to the base.
  public static func dMeanSquaredError(_ dOutput: Tensor<Self>, _ x: Tensor<Self>, _ y: Tensor<Self>) -> Tensor<Self> {
    Base.dMeanSquaredError(dOutput.rewrapped(), x.rewrapped(), y.rewrapped()).rewrapped()
  }

  /// Forwards to the base.
  public static func meanAbsoluteError(_ x: Tensor<Self>, _ y: Tensor<Self>) -> Tensor<Self> {
    Base.meanAbsoluteError(x.rewrapped(), y.rewrapped()).rewrapped()
  }

  /// Forwards to the base.
  public static func dMeanAbsoluteError(_ dOutput: Tensor<Self>, _ x: Tensor<Self>, _ y: Tensor<Self>) -> Tensor<Self> {
    Base.dMeanAbsoluteError(dOutput.rewrapped(), x.rewrapped(), y.rewrapped()).rewrapped()
  }

  /// Forwards to the base.
  public static func sum(_ x: Tensor<Self>, times alpha: Scalar) -> Tensor<Self> {
    Base.sum(x.rewrapped(), times: alpha).rewrapped()
  }

  /// Forwards to the base.
  public static func dSum(_ dOutput: Tensor<Self>, shape: Shape, times alpha: Scalar) -> Tensor<Self> {
    Base.dSum(dOutput.rewrapped(), shape: shape, times: alpha).rewrapped()
  }
}
