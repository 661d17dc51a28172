// The value of a parameter before training. Every layer specifies it where it is built, next to the shape; a source
// that reads a checkpoint ignores it, and `InitialSource` computes the values.

/// The values of a parameter before training: a constant or a distribution, and the factors that it is multiplied by.
public struct InitialValue: Hashable, Sendable {
  /// Where the numbers come from.
  public enum Distribution: Hashable, Sendable {
    /// The same value everywhere.
    case constant(Double)
    /// Normally distributed values, resampled while they lie beyond ±cut.
    case normal(deviation: Double, cut: Double)
    /// Numbers spread evenly over −bound … bound.
    case uniform(bound: Double)
  }

  /// A factor of sampled values.
  public enum Factor: Hashable, Sendable {
    /// A number known where the layer is built.
    case number(Double)
    /// γ₀, which keeps residual branches small at the beginning; chosen when training starts.
    case gain
  }

  /// The first elements, which have their own factor.
  public struct Leading: Hashable, Sendable {
    /// The number of elements.
    public let count: Int
    /// Their factor.
    public let factor: Factor
  }

  /// Where the numbers come from.
  public var distribution: Distribution
  /// The factor of the first elements instead, in row-major order: the first rows of a matrix.
  public private(set) var leading: Leading?
  /// The factor of the elements; nil for none.
  public private(set) var factor: Double?
  /// The name that selects the stream of random numbers; nil for the parameter's own.
  public private(set) var stream: String?

  /// Values of a distribution.
  public init(_ distribution: Distribution) {
    self.distribution = distribution
  }

  /// 0 everywhere.
  public static let zeros = InitialValue(.constant(0))
  /// 1 everywhere.
  public static let ones = InitialValue(.constant(1))

  /// The same value everywhere.
  public static func constant(_ value: Double) -> InitialValue { InitialValue(.constant(value)) }

  /// Normally distributed values around 0, truncated at ±`cut`.
  public static func normal(deviation: Double, cut: Double = .infinity) -> InitialValue {
    InitialValue(.normal(deviation: deviation, cut: cut))
  }

  /// Numbers spread evenly over −bound … bound.
  public static func uniform(bound: Double) -> InitialValue { InitialValue(.uniform(bound: bound)) }

  /// The same values, multiplied by a factor.
  public func times(_ factor: Double) -> InitialValue {
    var value = self
    value.factor = factor
    return value
  }

  /// The same values, with the first `count` elements multiplied by one factor and all others by another.
  public func times(_ leading: Factor, first count: Int, others: Double) -> InitialValue {
    var value = self
    value.leading = Leading(count: count, factor: leading)
    value.factor = others
    return value
  }

  /// The same, sampled from the stream of another name, so that a renamed parameter keeps its bits.
  public func sampled(as name: String) -> InitialValue {
    var value = self
    value.stream = name
    return value
  }
}
