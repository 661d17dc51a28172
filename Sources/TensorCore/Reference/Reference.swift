// Engine 1: the mathematics as code. Plain nested loops over index variables, in any precision; no SIMD, no BLAS, no
// threads, no unsafe memory. Each file holds one family of operators, forward next to backward, the formula above each.
//
// It is for studying, and the other engines are checked against it: `Reference<Double>` is the ground truth, and
// `Reference<Float>` shows how much of an engine's error is due to single precision. It does not try to be fast, but
// innermost loops run over neighboring memory, and every operator is specialized for both number types.

/// The engine of plain loops, the oracle for the others.
public enum Reference<Scalar: TensorScalar>: BackendTypes {
  /// Values are stored in an array.
  public typealias Storage = [Scalar]
  /// Integers are stored in an array.
  public typealias IndexStorage = [Int32]
  /// It runs in this process.
  public typealias Device = HostDevice

  /// The array itself.
  public static func makeStorage(_ values: [Scalar], on device: HostDevice) -> [Scalar] { values }

  /// An array filled with one value.
  public static func makeStorage(repeating value: Scalar, count: Int, on device: HostDevice) -> [Scalar] {
    [Scalar](repeating: value, count: count)
  }

  /// A copy of the region's values, whatever their alignment.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func makeStorage(borrowing region: HostRegion, on device: HostDevice) -> [Scalar] {
    let stride = MemoryLayout<Scalar>.stride
    precondition(
      region.byteCount % stride == 0, "a region of \(region.byteCount) bytes for numbers of \(stride) bytes")
    return withExtendedLifetime(region.owner) {
      (0..<region.byteCount / stride).map { i in
        region.start.loadUnaligned(fromByteOffset: i * stride, as: Scalar.self)
      }
    }
  }

  /// The integers themselves.
  public static func makeIndices(_ values: [Int32], on device: HostDevice) -> [Int32] { values }

  /// The array itself.
  public static func scalars(_ storage: [Scalar]) -> [Scalar] { storage }

  /// The integers themselves.
  public static func indices(_ storage: [Int32]) -> [Int32] { storage }

  /// Part of the array, copied.
  public static func slice(_ storage: [Scalar], _ range: Range<Int>) -> [Scalar] { Array(storage[range]) }

  /// This machine.
  public static func device(of storage: [Scalar]) -> HostDevice { HostDevice() }
}
