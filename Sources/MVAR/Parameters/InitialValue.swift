// What a parameter is before training. Every layer states it where it is built, next to the shape; a source that reads a
// checkpoint pays no attention to it, `InitialSource` computes the numbers.

/// The values of a parameter before training: a constant or a distribution, and what its numbers are multiplied by.
public struct InitialValue: Hashable, Sendable {
  /// Where the numbers come from.
  public enum Distribution: Hashable, Sendable {
    /// The same number everywhere.
    case constant(Double)
    /// Normally distributed numbers, sampled again while they lie beyond ±cut.
    case normal(deviation: Double, cut: Double)
    /// Numbers spread evenly over −bound … bound.
    case uniform(bound: Double)
  }

  /// A factor of sampled numbers.
  public enum Factor: Hashable, Sendable {
    /// A number that is known where the layer is built.
    case number(Double)
    /// γ₀, the smallness of residual branches at the beginning, which whoever starts a training chooses.
    case gain
  }

  /// The first elements, which have a factor of their own.
  public struct Leading: Hashable, Sendable {
    /// How many they are.
    public let count: Int
    /// Their factor.
    public let factor: Factor
  }

  /// Where the numbers come from.
  public var distribution: Distribution
  /// What the first elements are multiplied by instead, in row-major order: the first rows of a matrix.
  public private(set) var leading: Leading?
  /// What elements are multiplied by; nil for nothing.
  public private(set) var factor: Double?
  /// The name that chooses the stream of random numbers; nil for the parameter's own.
  public private(set) var stream: String?

  /// Numbers of a distribution.
  public init(_ distribution: Distribution) {
    self.distribution = distribution
  }

  /// 0 everywhere.
  public static let zeros = InitialValue(.constant(0))
  /// 1 everywhere.
  public static let ones = InitialValue(.constant(1))

  /// The same number everywhere.
  public static func constant(_ value: Double) -> InitialValue { InitialValue(.constant(value)) }

  /// Normally distributed numbers around 0, cut off at ±`cut`.
  public static func normal(deviation: Double, cut: Double = .infinity) -> InitialValue {
    InitialValue(.normal(deviation: deviation, cut: cut))
  }

  /// Numbers spread evenly over −bound … bound.
  public static func uniform(bound: Double) -> InitialValue { InitialValue(.uniform(bound: bound)) }

  /// The same numbers, multiplied by a factor.
  public func times(_ factor: Double) -> InitialValue {
    var value = self
    value.factor = factor
    return value
  }

  /// The same numbers, the first `count` elements multiplied by one factor and all others by another.
  public func times(_ leading: Factor, first count: Int, others: Double) -> InitialValue {
    var value = self
    value.leading = Leading(count: count, factor: leading)
    value.factor = others
    return value
  }

  /// The same, sampled from the stream of another name: that of a parameter that was renamed keeps its bits so.
  public func sampled(as name: String) -> InitialValue {
    var value = self
    value.stream = name
    return value
  }
}
