// Engine 3: an NVIDIA GPU. The kernels are in Kernels/, one file for each family of operators; the files of Ops/ have
// the same names as those of the other engines and determine which kernel does what.
//
// Every tensor carries its device. Operators return immediately, and the device executes them in order; reading a
// tensor waits for the device. Failures are described in CUDAEngine.swift.

import TensorCore

/// The engine that computes on a GPU.
public enum CUDA: BackendTypes {
  /// The type of the elements.
  public typealias Scalar = Float
  /// Values in GPU memory.
  public typealias Storage = DeviceArray<Float>
  /// Integers in GPU memory.
  public typealias IndexStorage = DeviceIndices
  /// A GPU in use.
  public typealias Device = CUDAEngine

  /// Memory filled with the given values.
  ///
  /// - Throws: `CUDAError`.
  public static func makeStorage(_ values: [Float], on device: CUDAEngine) throws -> DeviceArray<Float> {
    try DeviceArray(values, on: device)
  }

  /// Memory filled with one value.
  public static func makeStorage(repeating value: Float, count: Int, on device: CUDAEngine) -> DeviceArray<Float> {
    let array = DeviceArray<Float>(count: count, on: device)
    device.attempt { try device.stream.fill(array.buffer, word: value.bitPattern, count: count) }
    return array
  }

  /// Memory filled with a copy of the region's values.
  ///
  /// - Throws: `CUDAError`.
  public static func makeStorage(borrowing region: HostRegion, on device: CUDAEngine) throws -> DeviceArray<Float> {
    try withExtendedLifetime(region.owner) {
      let bytes = UnsafeRawBufferPointer(start: region.start, count: region.byteCount)
      return try DeviceArray(bytes: bytes, on: device)
    }
  }

  /// Memory filled with the given integers.
  ///
  /// - Throws: `CUDAError`.
  public static func makeIndices(_ values: [Int32], on device: CUDAEngine) throws -> DeviceIndices {
    DeviceIndices(array: try DeviceArray(values, on: device), least: values.min() ?? 0, most: values.max() ?? 0)
  }

  /// All values, copied to an array once the device has computed them.
  ///
  /// - Throws: `CUDAError`; the error that made the engine fail earlier.
  public static func scalars(_ storage: DeviceArray<Float>) throws -> [Float] { try storage.values() }

  /// All integers, copied to an array once the device has computed them.
  ///
  /// - Throws: `CUDAError`; the error that made the engine fail earlier.
  public static func indices(_ storage: DeviceIndices) throws -> [Int32] { try storage.array.values() }

  /// Part of the memory; shared, not copied.
  public static func slice(_ storage: DeviceArray<Float>, _ range: Range<Int>) -> DeviceArray<Float> {
    storage.slice(range)
  }

  /// The engine that holds the memory.
  public static func device(of storage: DeviceArray<Float>) -> CUDAEngine { storage.engine }
}

extension CUDA {
  /// A new tensor for a kernel to fill.
  static func empty(_ shape: Shape, on engine: CUDAEngine) -> Tensor<CUDA> {
    Tensor(shape: shape, storage: DeviceArray(count: shape.count, on: engine))
  }

  /// A new tensor of zeros.
  static func zeros(_ shape: Shape, on engine: CUDAEngine) -> Tensor<CUDA> {
    Tensor(repeating: 0, shape: shape, on: engine)
  }

  /// Calls `body` with a tensor to read and one to write an element-wise result to, which share memory when no other
  /// reference to that of `x` exists; returns the second.
  static func reusing(
    _ x: consuming Tensor<CUDA>, _ body: (_ x: Tensor<CUDA>, _ y: Tensor<CUDA>) -> Void
  ) -> Tensor<CUDA> {
    if isKnownUniquelyReferenced(&x.storage.buffer) {
      body(x, x)
      return x
    }
    let input = x
    let output = empty(input.shape, on: input.device)
    body(input, output)
    return output
  }
}

extension Tensor<CUDA> {
  /// The elements as a kernel argument.
  var argument: KernelArgument { storage.argument }
}

extension Tensor<CUDA>? {
  /// The elements as a kernel argument; a null pointer for no tensor.
  var argument: KernelArgument { self?.argument ?? .null }
}

extension Indices<CUDA> {
  /// The indices as a kernel argument.
  var argument: KernelArgument { storage.array.argument }

  /// Stops the program when an index is not a row of a table: a kernel would read beyond the table.
  func check(below rows: Int, _ name: String) {
    precondition(
      shape.count == 0 || storage.least >= 0 && Int(storage.most) < rows,
      "\(name): indices from \(storage.least) to \(storage.most) for \(rows) rows")
  }
}
