// The functions of the driver API that the engine calls, by the names under which the driver exports them.
//
// Contexts, modules, functions, streams, graphs and events are opaque addresses that are never dereferenced here; they
// are stored as integers (`CUDAHandle`), which C passes the same way, and which may be sent between threads like any
// integer.

/// A driver object; 0 means none.
typealias CUDAHandle = UInt
/// An address in device memory.
package typealias DeviceAddress = UInt64

/// The driver's functions. Each returns a status, 0 for success.
struct DriverFunctions: Sendable {
  /// (flags, which must be 0)
  let initialize: @convention(c) (UInt32) -> Int32
  /// → 1000·major + 10·minor of the newest CUDA version that the driver supports
  let driverVersion: @convention(c) (UnsafeMutablePointer<Int32>) -> Int32
  /// (error) → its name
  let errorName: @convention(c) (Int32, UnsafeMutablePointer<UnsafePointer<CChar>?>) -> Int32
  /// (error) → the driver's message for it
  let errorText: @convention(c) (Int32, UnsafeMutablePointer<UnsafePointer<CChar>?>) -> Int32

  /// → the number of devices
  let deviceCount: @convention(c) (UnsafeMutablePointer<Int32>) -> Int32
  /// (ordinal) → device
  let deviceGet: @convention(c) (UnsafeMutablePointer<Int32>, Int32) -> Int32
  /// (buffer for the name, its length, device)
  let deviceName: @convention(c) (UnsafeMutablePointer<CChar>, Int32, Int32) -> Int32
  /// (device) → bytes of memory
  let deviceMemory: @convention(c) (UnsafeMutablePointer<Int>, Int32) -> Int32
  /// (attribute, device) → its value
  let deviceAttribute: @convention(c) (UnsafeMutablePointer<Int32>, Int32, Int32) -> Int32
  /// (device) → its primary context, which other libraries of this process share
  let contextRetain: @convention(c) (UnsafeMutablePointer<CUDAHandle>, Int32) -> Int32
  /// (device)
  let contextRelease: @convention(c) (Int32) -> Int32
  /// (context): makes it current for this thread's calls
  let contextSetCurrent: @convention(c) (CUDAHandle) -> Int32

  /// → free bytes, total bytes
  let memoryInformation: @convention(c) (UnsafeMutablePointer<Int>, UnsafeMutablePointer<Int>) -> Int32
  /// (bytes) → address
  let memoryAllocate: @convention(c) (UnsafeMutablePointer<DeviceAddress>, Int) -> Int32
  /// (address)
  let memoryFree: @convention(c) (DeviceAddress) -> Int32
  /// (to, from, bytes, stream)
  let copyToDevice: @convention(c) (DeviceAddress, UnsafeRawPointer, Int, CUDAHandle) -> Int32
  /// (to, from, bytes, stream)
  let copyToHost: @convention(c) (UnsafeMutableRawPointer, DeviceAddress, Int, CUDAHandle) -> Int32
  /// (to, from, bytes, stream)
  let copyOnDevice: @convention(c) (DeviceAddress, DeviceAddress, Int, CUDAHandle) -> Int32
  /// (to, word, number of words, stream)
  let fillWords: @convention(c) (DeviceAddress, UInt32, Int, CUDAHandle) -> Int32

  /// (image) → module
  let moduleLoad: @convention(c) (UnsafeMutablePointer<CUDAHandle>, UnsafeRawPointer) -> Int32
  /// (module)
  let moduleUnload: @convention(c) (CUDAHandle) -> Int32
  /// (module, name) → function
  let moduleFunction: @convention(c) (UnsafeMutablePointer<CUDAHandle>, CUDAHandle, UnsafePointer<CChar>) -> Int32
  /// (function, attribute, value)
  let functionSetAttribute: @convention(c) (CUDAHandle, Int32, Int32) -> Int32
  /// (function, grid, block, bytes of shared memory, stream, addresses of the arguments, null)
  let launch:
    @convention(c) (
      CUDAHandle, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, CUDAHandle,
      UnsafeMutablePointer<UnsafeMutableRawPointer?>?, UnsafeMutablePointer<UnsafeMutableRawPointer?>?
    ) -> Int32

  /// (flags) → stream
  let streamCreate: @convention(c) (UnsafeMutablePointer<CUDAHandle>, UInt32) -> Int32
  /// (stream)
  let streamDestroy: @convention(c) (CUDAHandle) -> Int32
  /// (stream): waits until all its work is done
  let streamSynchronize: @convention(c) (CUDAHandle) -> Int32
  /// (stream, mode): from now on its work is recorded instead of executed
  let captureBegin: @convention(c) (CUDAHandle, Int32) -> Int32
  /// (stream) → graph of what was recorded, 0 if a rule was broken
  let captureEnd: @convention(c) (CUDAHandle, UnsafeMutablePointer<CUDAHandle>) -> Int32
  /// (graph, flags) → executable graph
  let graphInstantiate: @convention(c) (UnsafeMutablePointer<CUDAHandle>, CUDAHandle, UInt64) -> Int32
  /// (executable graph, stream)
  let graphLaunch: @convention(c) (CUDAHandle, CUDAHandle) -> Int32
  /// (executable graph)
  let graphExecutableDestroy: @convention(c) (CUDAHandle) -> Int32
  /// (graph)
  let graphDestroy: @convention(c) (CUDAHandle) -> Int32
  /// (flags) → event
  let eventCreate: @convention(c) (UnsafeMutablePointer<CUDAHandle>, UInt32) -> Int32
  /// (event)
  let eventDestroy: @convention(c) (CUDAHandle) -> Int32
  /// (event, stream)
  let eventRecord: @convention(c) (CUDAHandle, CUDAHandle) -> Int32
  /// (event): waits until the stream has reached it
  let eventSynchronize: @convention(c) (CUDAHandle) -> Int32
  /// (earlier event, later event) → milliseconds between them
  let eventElapsed: @convention(c) (UnsafeMutablePointer<Float>, CUDAHandle, CUDAHandle) -> Int32

  /// Finds all of them.
  ///
  /// - Throws: `CUDAError.functionMissing` for the first that is missing.
  init(_ table: SymbolTable) throws {
    initialize = try table.function("cuInit")
    driverVersion = try table.function("cuDriverGetVersion")
    errorName = try table.function("cuGetErrorName")
    errorText = try table.function("cuGetErrorString")
    deviceCount = try table.function("cuDeviceGetCount")
    deviceGet = try table.function("cuDeviceGet")
    deviceName = try table.function("cuDeviceGetName")
    deviceMemory = try table.function("cuDeviceTotalMem_v2")
    deviceAttribute = try table.function("cuDeviceGetAttribute")
    contextRetain = try table.function("cuDevicePrimaryCtxRetain")
    contextRelease = try table.function("cuDevicePrimaryCtxRelease_v2")
    contextSetCurrent = try table.function("cuCtxSetCurrent")
    memoryInformation = try table.function("cuMemGetInfo_v2")
    memoryAllocate = try table.function("cuMemAlloc_v2")
    memoryFree = try table.function("cuMemFree_v2")
    copyToDevice = try table.function("cuMemcpyHtoDAsync_v2")
    copyToHost = try table.function("cuMemcpyDtoHAsync_v2")
    copyOnDevice = try table.function("cuMemcpyDtoDAsync_v2")
    fillWords = try table.function("cuMemsetD32Async")
    moduleLoad = try table.function("cuModuleLoadData")
    moduleUnload = try table.function("cuModuleUnload")
    moduleFunction = try table.function("cuModuleGetFunction")
    functionSetAttribute = try table.function("cuFuncSetAttribute")
    launch = try table.function("cuLaunchKernel")
    streamCreate = try table.function("cuStreamCreate")
    streamDestroy = try table.function("cuStreamDestroy_v2")
    streamSynchronize = try table.function("cuStreamSynchronize")
    captureBegin = try table.function("cuStreamBeginCapture_v2")
    captureEnd = try table.function("cuStreamEndCapture")
    graphInstantiate = try table.function("cuGraphInstantiateWithFlags")
    graphLaunch = try table.function("cuGraphLaunch")
    graphExecutableDestroy = try table.function("cuGraphExecDestroy")
    graphDestroy = try table.function("cuGraphDestroy")
    eventCreate = try table.function("cuEventCreate")
    eventDestroy = try table.function("cuEventDestroy_v2")
    eventRecord = try table.function("cuEventRecord")
    eventSynchronize = try table.function("cuEventSynchronize")
    eventElapsed = try table.function("cuEventElapsedTime")
  }
}
