// A GPU used by this package: one device, one stream, its memory, and the kernels loaded so far.
//
// Operators do not throw, and the device works asynchronously. So an engine that fails (no memory for a tensor, a
// kernel that does not compile, a fault on the device) remembers the first failure, does nothing from then on, and
// throws it from the next transfer: creating a tensor from values, or reading one. No result is ever read after a
// failure.
//
// An engine is used by one thread at a time; tensors may be released on any.

import Synchronization

/// The device of CUDA tensors.
public final class CUDAEngine: Sendable {
  /// The precision of the operands of matrix products and convolutions; sums, and all other operators, are in single
  /// precision.
  public enum Precision: String, Sendable, CaseIterable {
    /// 32 bits, as on the other engines.
    case float32
    /// 32 bits, with the mantissa reduced to 10: several times faster.
    case tf32
    /// 16 bits, 7 of them mantissa: the fastest.
    case bfloat16
  }

  /// What computes the matrix products of linear layers; all other operators, including convolutions, are kernels of
  /// this package.
  public enum Products: String, Sendable, CaseIterable {
    /// The kernels of this package. A row's result does not depend on how many rows there are.
    case own
    /// NVIDIA's cuBLAS, which must be installed. The same work gives the same bits again, but the other rows of a
    /// product may change the last digits of a row: an image sampled alone may differ from the same image in a batch.
    case cublas
  }

  /// The GPU.
  public let device: CUDADevice
  /// The stream of its work.
  public let stream: CUDAStream
  /// The precision of products.
  public let precision: Precision
  /// The library that computes the products of linear layers instead of our own kernels, if any.
  let library: CuBLASHandle?
  private let pool: DeviceMemoryPool
  private let images: @Sendable (_ file: String) throws -> [UInt8]
  private let recompiled: @Sendable (_ file: String) throws -> [UInt8]?
  private let observer: LaunchObserver?

  /// Called before every launch. A driver cannot check whether a kernel receives the parameters that it declares; a
  /// test can.
  package typealias LaunchObserver = @Sendable (_ kernel: String, _ arguments: [KernelArgument]) -> Void

  private struct State {
    /// The files on the device, by their indices in the list.
    var modules = [CUDAModule?](repeating: nil, count: KernelFile.all.count)
    /// The kernels used so far, by their numbers.
    var kernels = [CUDAKernel?](repeating: nil, count: Kernel.count)
    var constants: [[Int32]: CUDABuffer] = [:]
    var failure: (any Error)?
    /// The pool that new tensors are allocated from while launches are recorded.
    var recordingMemory: DeviceMemoryPool?
  }
  private let state = Mutex(State())

  /// The engine of a GPU in this machine.
  ///
  /// The kernels come from the folder that the environment variable `MVAR_CUDA_KERNELS` names; any that it lacks are
  /// compiled.
  ///
  /// - Parameters:
  ///   - ordinal: the driver's index for the GPU, from 0
  ///   - precision: the precision of products
  ///   - products: what computes those of linear layers.
  /// - Throws: `CUDAError` when there is no driver, no such GPU, neither kernels nor a run-time compiler for it, or no
  ///   cuBLAS although it was requested.
  public convenience init(ordinal: Int = 0, precision: Precision = .float32, products: Products = .own) throws {
    try self.init(ordinal: ordinal, precision: precision, products: products, memory: .recycled, observer: nil)
  }

  /// The engine of a GPU in this machine, as checks of the engine want it.
  ///
  /// - Parameters:
  ///   - ordinal: the driver's index for the GPU, from 0
  ///   - precision: the precision of products
  ///   - products: what computes those of linear layers
  ///   - memory: how memory for tensors is allocated
  ///   - observer: called before every launch; nil for none.
  /// - Throws: as without these.
  package convenience init(
    ordinal: Int, precision: Precision, products: Products, memory: DeviceMemoryPool.Policy, observer: LaunchObserver?
  ) throws {
    let device = try CUDADevice(CUDADriver.system(), ordinal: ordinal)
    let library = products == .cublas ? try CuBLAS.find(for: device.driver.version) : nil
    let images = try KernelImages(for: device)
    try self.init(
      device, precision: precision, library: library, memory: memory, observer: observer,
      recompiled: { try images.recompiled($0) }
    ) { try images.image($0) }
  }

  /// The engine of a device.
  ///
  /// - Parameters:
  ///   - precision: the precision of products
  ///   - library: what computes those of linear layers; nil for our own kernels
  ///   - memory: how memory for tensors is allocated
  ///   - observer: called before every launch
  ///   - recompiled: the compiled form of a kernel file whose first one the driver refuses; nil for none
  ///   - images: the compiled form of a kernel file, by its name.
  /// - Throws: `CUDAError.failedCall`; `outOfMemory` for a library's workspace.
  package init(
    _ device: CUDADevice, precision: Precision = .float32, library: CuBLAS? = nil,
    memory: DeviceMemoryPool.Policy = .recycled, observer: LaunchObserver? = nil,
    recompiled: @escaping @Sendable (_ file: String) throws -> [UInt8]? = { _ in nil },
    images: @escaping @Sendable (_ file: String) throws -> [UInt8]
  ) throws {
    self.device = device
    self.precision = precision
    stream = try CUDAStream(device)
    pool = DeviceMemoryPool(stream, policy: memory)
    self.library = try library.map { [stream] in try CuBLASHandle($0, stream) }
    self.images = images
    self.recompiled = recompiled
    self.observer = observer
  }

  /// How much device memory tensors use, in bytes.
  public var memoryUse: DeviceMemoryUse { pool.use }

  /// Restarts the count of peak memory use.
  public func resetPeakMemory() { pool.resetPeak() }

  /// Returns memory that no tensor uses to the driver.
  ///
  /// - Throws: `CUDAError.failedCall`, also for work that failed earlier.
  public func freeIdleMemory() throws { try pool.drain() }

  /// Waits until all work is done.
  ///
  /// - Throws: the error that made the engine fail.
  public func synchronize() throws {
    attempt { try stream.synchronize() }
    try checkForFailure()
  }

  /// Compiles and loads all kernels now instead of on first use, so that none can turn out to be missing later.
  ///
  /// - Throws: `CUDAError`.
  public func prepareKernels() throws {
    try state.withLock { state in
      for kernel in KernelFile.all.flatMap(\.kernels) { try load(kernel, &state) }
    }
  }
}

// MARK: - What operators use

extension CUDAEngine {
  /// Throws the error that made the engine fail, if it has failed.
  func checkForFailure() throws {
    if let failure = state.withLock({ $0.failure }) { throw failure }
  }

  /// Calls `body` unless the engine has failed; if `body` throws, the engine has failed from then on.
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
    let pool = state.withLock { $0.recordingMemory } ?? pool
    return attempt { try pool.makeBuffer(byteCount: byteCount) } ?? CUDABuffer()
  }

  /// Memory for recorded launches, whose blocks nothing else uses.
  func makeRecordingMemory() -> DeviceMemoryPool { DeviceMemoryPool(stream, policy: .kept(for: pool)) }

  /// Records what `work` launches instead of executing it; its tensors get their memory from a pool that keeps its
  /// blocks.
  ///
  /// - Returns: nil if the engine has failed, or fails now.
  /// - Throws: what `work` throws; in that case nothing is recorded.
  func record(in memory: DeviceMemoryPool, _ work: () throws -> Void) rethrows -> CUDAGraph? {
    let hasBegun: Void? = attempt { try stream.beginCapture() }
    guard hasBegun != nil else {
      // Operators no longer do anything.
      try work()
      return nil
    }
    state.withLock { $0.recordingMemory = memory }
    do {
      try work()
    } catch {
      _ = try? endRecording()
      throw error
    }
    // The stream must not stay in capture mode, whatever has failed.
    let graph = Result { try endRecording() }
    return attempt { try graph.get() }
  }

  private func endRecording() throws -> CUDAGraph {
    state.withLock { $0.recordingMemory = nil }
    return try stream.endCapture()
  }

  /// Integers as a kernel argument, copied to the device once and kept: for lists that recur with every call.
  func constants(_ values: [Int32]) -> KernelArgument {
    if let buffer = state.withLock({ $0.constants[values] }) { return .pointer(buffer, offset: 0) }
    let buffer = makeBuffer(byteCount: values.count * 4)
    attempt { try values.withUnsafeBytes { try stream.upload($0, to: buffer) } }
    state.withLock { state in
      // Lists that never recur must not fill the memory.
      if state.constants.count >= 1024 { state.constants = [:] }
      state.constants[values] = buffer
    }
    return .pointer(buffer, offset: 0)
  }

  /// Launches a kernel on the device.
  ///
  /// - Parameter arguments: exactly what the kernel declares: outputs, inputs, scalars.
  func launch(_ kernel: Kernel, _ shape: LaunchShape, _ arguments: [KernelArgument]) {
    if shape.isEmpty { return }
    observer?(kernel.name, arguments)
    attempt { try loaded(kernel).launch(on: stream, shape, arguments) }
  }

  /// Launches a kernel whose threads divide `count` elements among themselves in grid-sized strides.
  func launch(_ kernel: Kernel, elements count: Int, _ arguments: [KernelArgument]) {
    launch(kernel, LaunchShape(min(count.dividedUp(by: 256), mostBlocks)), arguments)
  }

  /// The number of blocks that the device can run at once, at least.
  var multiprocessors: Int { max(device.properties.multiprocessorCount, 1) }

  /// The most shared memory that a launch can request; a kernel may declare 2 KiB of its own.
  var dynamicSharedBytes: Int { max(device.properties.sharedBytesPerBlock - 2 << 10, 0) }

  /// Enough blocks to keep the device busy to the end of a kernel whose threads divide the elements among themselves.
  private var mostBlocks: Int { multiprocessors * 32 }

  /// A kernel on the device, compiled and loaded if it is not yet.
  private func loaded(_ kernel: Kernel) throws -> CUDAKernel {
    // The lock is held while a file is compiled: another thread that needs a kernel meanwhile most likely needs the
    // same file.
    try state.withLock { try load(kernel, &$0) }
  }

  @discardableResult
  private func load(_ kernel: Kernel, _ state: inout State) throws -> CUDAKernel {
    if let loaded = state.kernels[Int(kernel.rawValue)] { return loaded }
    let file = kernel.file
    let (module, loaded) = try state.modules[file.index].map { ($0, try $0.kernel(kernel.name)) } ?? load(kernel)
    state.modules[file.index] = module
    state.kernels[Int(kernel.rawValue)] = loaded
    return loaded
  }

  /// The first kernel of a file. If the driver refuses a compiled form that was kept, the file is compiled again.
  private func load(_ kernel: Kernel) throws -> (module: CUDAModule, kernel: CUDAKernel) {
    func load(_ image: [UInt8]) throws -> (module: CUDAModule, kernel: CUDAKernel) {
      let module = try CUDAModule(image, on: device)
      return (module, try module.kernel(kernel.name))
    }
    do {
      return try load(images(kernel.file.name))
    } catch let error as CUDAError {
      guard case .failedCall = error, let image = try recompiled(kernel.file.name) else { throw error }
      return try load(image)
    }
  }
}

extension Int {
  /// ⌈self/divisor⌉ for nonnegative integers.
  func dividedUp(by divisor: Int) -> Int { (self + divisor - 1) / divisor }
}
