// Engine 2: this machine's processors. `MatrixProduct` decides how matrix products are computed; everything else is
// SIMD in Swift, spread over threads by `parallel`.
//
// Each file of this folder holds one family of operators, forward next to backward. Inner loops are generic over the
// number type and specialized for Float and Double; unsafe pointers live only here, inside `withPointers` scopes.

import CMVAROpenBLAS

/// The engine that computes on this machine's processors.
public enum CPU<Scalar: TensorScalar>: BackendTypes {
  /// Memory of this process.
  public typealias Storage = HostBuffer<Scalar>
  /// Indices are stored in an array.
  public typealias IndexStorage = [Int32]
  /// This machine.
  public typealias Device = HostDevice

  /// Memory filled with the given values.
  public static func makeStorage(_ values: [Scalar], on device: HostDevice) -> HostBuffer<Scalar> {
    let buffer = HostBuffer<Scalar>(count: values.count)
    values.withUnsafeBufferPointer { source in
      if let start = source.baseAddress { buffer.start.update(from: start, count: values.count) }
    }
    return buffer
  }

  /// Memory filled with one value.
  public static func makeStorage(repeating value: Scalar, count: Int, on device: HostDevice) -> HostBuffer<Scalar> {
    let buffer = HostBuffer<Scalar>(count: count)
    buffer.start.update(repeating: value, count: count)
    return buffer
  }

  /// The region itself if it is aligned; otherwise a copy.
  public static func makeStorage(borrowing region: HostRegion, on device: HostDevice) -> HostBuffer<Scalar> {
    HostBuffer(borrowing: region)
  }

  /// The integers themselves.
  public static func makeIndices(_ values: [Int32], on device: HostDevice) -> [Int32] { values }

  /// All values, copied to an array.
  public static func scalars(_ storage: HostBuffer<Scalar>) -> [Scalar] {
    // What an optimizer keeps is widened for this once.
    if let values = storage.state?.values as? [Scalar] { return values }
    return withExtendedLifetime(storage) {
      Array(UnsafeBufferPointer(start: storage.start, count: storage.count))
    }
  }

  /// The integers themselves.
  public static func indices(_ storage: [Int32]) -> [Int32] { storage }

  /// A buffer that shares part of the memory and keeps all of it alive.
  public static func slice(_ storage: HostBuffer<Scalar>, _ range: Range<Int>) -> HostBuffer<Scalar> {
    HostBuffer(part: range, of: storage)
  }

  /// This machine.
  public static func device(of storage: HostBuffer<Scalar>) -> HostDevice { HostDevice() }
}

extension CPU: ShortWeightTypes where Scalar == Float {
  /// What the device says for the role.
  public static func weightFormat(of role: WeightRole, on device: HostDevice) -> WeightFormat {
    device.weights.format(of: role)
  }

  /// The weight itself.
  public static func makeStorage(_ weight: ShortWeight, on device: HostDevice) -> HostBuffer<Float> {
    HostBuffer(weight)
  }
}

extension CPU {
  /// A new tensor whose elements `fill` writes; every element must be written.
  static func make(_ shape: Shape, _ fill: (UnsafeMutablePointer<Scalar>) -> Void) -> Tensor<CPU> {
    let buffer = HostBuffer<Scalar>(count: shape.count)
    withExtendedLifetime(buffer) { fill(buffer.start) }
    return Tensor(shape: shape, storage: buffer)
  }

  /// A new tensor of zeros that `fill` adds to.
  static func makeZeros(_ shape: Shape, _ fill: (UnsafeMutablePointer<Scalar>) -> Void) -> Tensor<CPU> {
    make(shape) { result in
      result.update(repeating: 0, count: shape.count)
      fill(result)
    }
  }

  /// Memory for the result of an element-wise operator: that of `x` itself when no other reference exists.
  ///
  /// `body` receives the input and the output, which may be the same memory; it must read an element before writing it.
  static func reusing(
    _ x: consuming Tensor<CPU>, _ body: (UnsafePointer<Scalar>, UnsafeMutablePointer<Scalar>) -> Void
  ) -> Tensor<CPU> {
    if x.storage.isWritable && isKnownUniquelyReferenced(&x.storage) {
      withExtendedLifetime(x.storage) { body(x.storage.start, x.storage.start) }
      return x
    }
    let input = x
    return make(input.shape) { result in
      withPointers(input) { body($0, result) }
    }
  }

  /// Runs `body` with the tensor's elements, which stay alive until it returns.
  static func withPointers<Result>(_ a: Tensor<CPU>, _ body: (UnsafePointer<Scalar>) -> Result) -> Result {
    withExtendedLifetime(a.storage) { body(a.storage.start) }
  }

  /// Runs `body` with the elements of two tensors.
  static func withPointers<Result>(
    _ a: Tensor<CPU>, _ b: Tensor<CPU>, _ body: (UnsafePointer<Scalar>, UnsafePointer<Scalar>) -> Result
  ) -> Result {
    withPointers(a) { a in withPointers(b) { body(a, $0) } }
  }

  /// Runs `body` with the elements of three tensors.
  static func withPointers<Result>(
    _ a: Tensor<CPU>, _ b: Tensor<CPU>, _ c: Tensor<CPU>,
    _ body: (UnsafePointer<Scalar>, UnsafePointer<Scalar>, UnsafePointer<Scalar>) -> Result
  ) -> Result {
    withPointers(a, b) { a, b in withPointers(c) { body(a, b, $0) } }
  }

  /// Runs `body` with the elements of four tensors.
  static func withPointers<Result>(
    _ a: Tensor<CPU>, _ b: Tensor<CPU>, _ c: Tensor<CPU>, _ d: Tensor<CPU>,
    _ body: (UnsafePointer<Scalar>, UnsafePointer<Scalar>, UnsafePointer<Scalar>, UnsafePointer<Scalar>) -> Result
  ) -> Result {
    withPointers(a, b) { a, b in withPointers(c, d) { body(a, b, $0, $1) } }
  }
}
