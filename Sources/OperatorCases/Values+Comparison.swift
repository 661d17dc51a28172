// Values as the comparator takes them.

import MVARComparison

extension ComparedValues {
  /// The values of a tensor, without the engine's shape type.
  public init(_ values: Values) { self.init(values.numbers, shape: values.shape.dimensions) }
}

extension Comparator {
  /// Compares a tensor with the expected one.
  ///
  /// - Parameters:
  ///   - name: the tensor and its case.
  ///   - found: what was computed.
  ///   - expected: what it should be.
  ///   - size: what the relative error is relative to; the largest expected magnitude if nil.
  ///   - bar: the tolerance, computed from the expected side only.
  public static func values(
    _ name: String, found: Values, expected: Values, size: Double? = nil, bar: Bar
  ) -> Comparison {
    values(name, found: ComparedValues(found), expected: ComparedValues(expected), bar: bar, size: size)
  }
}
