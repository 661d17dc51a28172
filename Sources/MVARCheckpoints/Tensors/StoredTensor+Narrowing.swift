// A stored tensor in another floating-point type, rounded to nearest: half the bytes for files that are shipped.

import MVARFiles

extension StoredTensor {
  /// The same values as another type.
  ///
  /// - Parameter type: float32, float16 or bfloat16.
  /// - Throws: `FileError` when a finite value is too large for the type, the type is none of the three, or the
  ///   tensor's file was shortened.
  public func converted(to type: ScalarType) throws -> StoredTensor {
    if type == scalarType { return self }
    let values = try floats()
    switch type {
    case .float32: return try StoredTensor(values, shape: shape)
    case .float16: return try narrowed(values, to: type, halfFromFloat) { $0 & 0x7c00 == 0x7c00 }
    case .bfloat16: return try narrowed(values, to: type, bfloat16FromFloat) { $0 & 0x7f80 == 0x7f80 }
    default: throw FileError("cannot be stored as \(type.rawValue)")
    }
  }

  private func narrowed(
    _ values: [Float], to type: ScalarType, _ narrow: (Float) -> UInt16, isSpecial: (UInt16) -> Bool
  ) throws -> StoredTensor {
    let narrowed = values.map(narrow)
    if let place = values.indices.first(where: { values[$0].isFinite && isSpecial(narrowed[$0]) }) {
      throw FileError("holds \(values[place]), which is too large for \(type.rawValue)")
    }
    return try StoredTensor(
      scalarType: type, shape: shape, bytes: narrowed.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] })
  }
}
