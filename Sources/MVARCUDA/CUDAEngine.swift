// A GPU at work for this package: one device, one stream, its memory, and the kernels loaded so far.
//
// Operators do not throw, and the device works behind their back. So an engine that fails (no room for a tensor, a kernel
// that does not compile, a fault on the device) remembers the first failure, does nothing from then on, and throws it
// from the next transfer: making a tensor of numbers, or reading one. No result is ever read that a failure preceded.
//
// An engine is used by one thread at a time; tensors may be released on any.

import Synchronization

/// The device of CUDA tensors.
public final class CUDAEngine: Sendable {
  /// The GPU.
  public let device: CUDADevice
  /// The work given to it.
  public let stream: CUDAStream
  private let pool: DeviceMemoryPool
  private let images: @Sendable (_ file: String) throws -> [UInt8]

  private struct State {
    var modules: [String: CUDAModule] = [:]
    var kernels: [String: CUDAKernel] = [:]
    var failure: (any Error)?
  }
  private let state = Mutex(State())

  /// The engine of a GPU of this machine.
  ///
  /// - Parameter ordinal: the driver's number of the GPU, from 0.
  /// - Throws: `CUDAError` where there is no driver, no such GPU, or no run-time compiler that serves it.
  public convenience init(ordinal: Int = 0) throws {
    let device = try CUDADevice(CUDADriver.system(), ordinal: ordinal)
    let compiler = try KernelCompiler(
      NVRTC.find(for: device.driver.version), for: device.properties.computeCapability, cache: KernelCache())
    try self.init(device) { file in
      guard let source = KernelTexts.files[file] else { throw CUDAError.noKernel("file \(file)") }
      return try compiler.compile(source, headers: KernelTexts.headers).image
    }
  }

  /// The engine of a device.
  ///
  /// - Parameter images: the compiled form of a kernel file, by its name.
  /// - Throws: `CUDAError.failedCall`.
  package init(_ device: CUDADevice, images: @escaping @Sendable (_ file: String) throws -> [UInt8]) throws {
    self.device = device
    stream = try CUDAStream(device)
    pool = DeviceMemoryPool(stream)
    self.images = images
  }

  /// How much device memory tensors take, in bytes.
  public var memoryUse: DeviceMemoryUse { pool.use }

  /// Starts the count of the most memory in use anew.
  public func resetPeakMemory() { pool.resetPeak() }

  /// Returns the memory that no tensor uses to the driver.
  ///
  /// - Throws: `CUDAError.failedCall`, also for work that failed earlier.
  public func giveBackIdleMemory() throws { try pool.drain() }

  /// Waits until all work is done.
  ///
  /// - Throws: whatever made the engine fail.
  public func synchronize() throws {
    attempt { try stream.synchronize() }
    try checkForFailure()
  }

  /// Compiles and loads every kernel now instead of when it is first used.
  ///
  /// - Throws: `CUDAError`.
  public func prepareKernels() throws {
    for name in KernelTexts.fileOfKernel.keys.sorted() { _ = try kernel(name) }
  }
}

// MARK: - What operators use

extension CUDAEngine {
  /// Throws what made the engine fail, if anything did.
  func checkForFailure() throws {
    if let failure = state.withLock({ $0.failure }) { throw failure }
  }

  /// Does something unless the engine has failed; from here on it has if that throws.
  ///
  /// - Returns: what `body` returns, or nil after a failure.
  @discardableResult
  func attempt<Result>(_ body: () throws -> Result) -> Result? {
    if state.withLock({ $0.failure != nil }) { return nil }
    do {
      return try body()
    } catch {
      state.withLock { $0.failure = $0.failure ?? error }
      return nil
    }
  }

  /// New memory; a buffer without memory after a failure.
  func makeBuffer(byteCount: Int) -> CUDABuffer {
    attempt { try pool.makeBuffer(byteCount: byteCount) } ?? CUDABuffer()
  }

  /// Gives a kernel to the device.
  ///
  /// - Parameters:
  ///   - name: of the kernel, in whichever file
  ///   - arguments: exactly what the kernel declares: outputs, inputs, numbers.
  func launch(_ name: String, _ shape: LaunchShape, _ arguments: [KernelArgument]) {
    if shape.isEmpty { return }
    attempt { try kernel(name).launch(on: stream, shape, arguments) }
  }

  /// Gives a kernel to the device whose threads share `count` elements in strides of the whole grid.
  func launch(_ name: String, elements count: Int, _ arguments: [KernelArgument]) {
    launch(name, LaunchShape(min(count.dividedUp(by: 256), mostBlocks)), arguments)
  }

  /// Blocks that keep the device busy to the end of a kernel whose threads share elements.
  private var mostBlocks: Int { max(device.properties.multiprocessorCount, 1) * 32 }

  /// The kernel of a name, compiled and loaded if it is not yet.
  private func kernel(_ name: String) throws -> CUDAKernel {
    // The lock is held while a file is compiled: whoever else needs a kernel then most likely needs the same file.
    try state.withLock { state in
      if let kernel = state.kernels[name] { return kernel }
      guard let file = KernelTexts.fileOfKernel[name] else { throw CUDAError.noKernel(name) }
      let module = try state.modules[file] ?? CUDAModule(images(file), on: device)
      state.modules[file] = module
      let kernel = try module.kernel(name)
      state.kernels[name] = kernel
      return kernel
    }
  }
}

extension Int {
  /// ⌈self/divisor⌉ for numbers that are not negative.
  func dividedUp(by divisor: Int) -> Int { (self + divisor - 1) / divisor }
}
