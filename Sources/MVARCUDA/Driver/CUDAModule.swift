// Compiled kernels on a device, and their launch.

/// The kernels of one compiled file, loaded onto a device.
package final class CUDAModule: Sendable {
  /// The device they are loaded onto.
  package let device: CUDADevice
  private let handle: CUDAHandle

  /// Loads a compiled file.
  ///
  /// - Parameter image: CUBIN, or PTX with a zero at its end.
  /// - Throws: `CUDAError.failedCall`, for example when the image is for another device.
  package init(_ image: [UInt8], on device: CUDADevice) throws {
    self.device = device
    try device.makeCurrent()
    var handle: CUDAHandle = 0
    let status = image.withUnsafeBytes { bytes in
      bytes.baseAddress.map { device.driver.functions.moduleLoad(&handle, $0) } ?? 1
    }
    try device.driver.check(status, "cuModuleLoadData")
    self.handle = handle
  }

  deinit {
    try? device.makeCurrent()
    _ = device.driver.functions.moduleUnload(handle)
  }

  /// The kernel with a name.
  ///
  /// - Throws: `CUDAError.failedCall` if the file has none.
  package func kernel(_ name: String) throws -> CUDAKernel {
    try device.makeCurrent()
    var function: CUDAHandle = 0
    let status = device.driver.functions.moduleFunction(&function, handle, name)
    try device.driver.check(status, "cuModuleGetFunction of \(name)")
    return CUDAKernel(name: name, module: self, function: function)
  }
}

/// How many blocks a launch has, and how many threads each block has.
package struct LaunchShape: Hashable, Sendable {
  /// Blocks along x (below 2³¹), y and z (below 2¹⁶).
  package var grid: SIMD3<Int>
  /// Threads of a block along x, y and z.
  package var block: SIMD3<Int>
  /// Bytes of shared memory for each block, beyond what the kernel declares.
  package var sharedBytes: Int

  /// A launch of blocks along up to three axes, with threads along x.
  package init(_ x: Int, _ y: Int = 1, _ z: Int = 1, threads: Int = 256, sharedBytes: Int = 0) {
    grid = [x, y, z]
    block = [threads, 1, 1]
    self.sharedBytes = sharedBytes
  }

  /// Whether there is nothing to do.
  var isEmpty: Bool { grid.x == 0 || grid.y == 0 || grid.z == 0 }
}

/// An argument of a kernel: each case is a C type.
package enum KernelArgument: Sendable {
  /// A pointer into a buffer, at an offset in bytes. The buffer lives at least until the kernel is launched, and as
  /// long as a graph that the launch becomes part of.
  case pointer(CUDABuffer, offset: Int)
  /// A null pointer.
  case null
  /// `int`. The range is checked.
  case int(Int)
  /// `long long`
  case long(Int)
  /// `float`
  case float(Float)
  /// `double`
  case double(Double)

  /// The buffer that it points into.
  var buffer: CUDABuffer? {
    if case .pointer(let buffer, _) = self { buffer } else { nil }
  }

  /// The argument's bits in the low end of a word; nil if the value does not fit the type.
  var word: UInt64? {
    switch self {
    case .pointer(let buffer, let offset): buffer.address + UInt64(offset)
    case .null: 0
    case .int(let number): Int32(exactly: number).map { UInt64(UInt32(bitPattern: $0)) }
    case .long(let number): UInt64(bitPattern: Int64(number))
    case .float(let number): UInt64(number.bitPattern)
    case .double(let number): number.bitPattern
    }
  }
}

extension KernelArgument {
  /// Its type as a letter: p pointer, i 32-bit integer, l 64-bit integer, f float, d double.
  package var letter: Character {
    switch self {
    case .pointer, .null: "p"
    case .int: "i"
    case .long: "l"
    case .float: "f"
    case .double: "d"
    }
  }
}

/// A kernel of a loaded module.
package struct CUDAKernel: Sendable {
  /// Its name.
  package let name: String
  private let module: CUDAModule
  private let function: CUDAHandle

  fileprivate init(name: String, module: CUDAModule, function: CUDAHandle) {
    self.name = name
    self.module = module
    self.function = function
  }

  /// Launches the kernel on a stream of its device; does nothing if the grid is empty.
  ///
  /// - Parameter arguments: exactly what the kernel declares. The driver cannot check them.
  /// - Throws: `CUDAError.unlaunchable` for sizes that do not fit; `failedCall`, also for work that failed earlier.
  package func launch(on stream: CUDAStream, _ shape: LaunchShape, _ arguments: [KernelArgument]) throws {
    if shape.isEmpty { return }
    guard (1..<1 << 31).contains(shape.grid.x), (1..<1 << 16).contains(shape.grid.y),
      (1..<1 << 16).contains(shape.grid.z)
    else { throw CUDAError.unlaunchable(kernel: name, reason: "a grid of \(shape.grid) blocks is too large") }
    let functions = module.device.driver.functions
    if shape.sharedBytes > 48 << 10 {
      // CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: more than this must be requested.
      try stream.call("cuFuncSetAttribute of \(name)") {
        $0.functionSetAttribute(function, 8, Int32(clamping: shape.sharedBytes))
      }
    }
    try stream.device.makeCurrent()
    let status = try withUnsafeTemporaryAllocation(of: UInt64.self, capacity: arguments.count) { words in
      try withUnsafeTemporaryAllocation(of: UnsafeMutableRawPointer?.self, capacity: arguments.count) { pointers in
        for (index, argument) in arguments.enumerated() {
          guard let word = argument.word else {
            throw CUDAError.unlaunchable(kernel: name, reason: "argument \(index), \(argument), does not fit an int")
          }
          // Both kinds of machines that have GPUs are little-endian; the driver reads shorter types from the low end.
          words.initializeElement(at: index, to: word.littleEndian)
          pointers.initializeElement(at: index, to: words.baseAddress.map { UnsafeMutableRawPointer($0 + index) })
        }
        return functions.launch(
          function, UInt32(shape.grid.x), UInt32(shape.grid.y), UInt32(shape.grid.z),
          UInt32(shape.block.x), UInt32(shape.block.y), UInt32(shape.block.z), UInt32(shape.sharedBytes),
          stream.handle, pointers.baseAddress, nil)
      }
    }
    try withExtendedLifetime(arguments) {
      try module.device.driver.check(status, "cuLaunchKernel of \(name)")
    }
    stream.keep(arguments.lazy.compactMap(\.buffer))
  }
}
