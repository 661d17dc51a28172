// A GPU: what the driver reports about it, and its primary context, which holds all its memory and kernels.

import Foundation

/// The version of a GPU's instruction set: 8.9 for the RTX 4090.
public struct ComputeCapability: Hashable, Sendable, CustomStringConvertible {
  /// 8 in 8.9.
  public let major: Int
  /// 9 in 8.9.
  public let minor: Int

  /// The capability `major.minor`.
  public init(major: Int, minor: Int) {
    self.major = major
    self.minor = minor
  }

  /// `8.9`
  public var description: String { "\(major).\(minor)" }
  /// 89, as compilers write it: `sm_89`.
  public var number: Int { major * 10 + minor }
}

/// What the driver reports about a device.
public struct CUDADeviceProperties: Hashable, Sendable {
  /// The driver's index for it, from 0.
  public let ordinal: Int
  /// Its name.
  public let name: String
  /// Its instruction set.
  public let computeCapability: ComputeCapability
  /// Its memory in bytes.
  public let memoryBytes: Int
  /// The number of blocks that run truly in parallel, at least.
  public let multiprocessorCount: Int
  /// The most shared memory that a block can request, in bytes.
  public let sharedBytesPerBlock: Int
  /// Its place on the machine's bus, `domain:bus:device` in hexadecimal digits, which no other GPU of the machine has.
  public let pciAddress: String
  let handle: Int32

  init(ordinal: Int, driver: CUDADriver) throws {
    let functions = driver.functions
    var device: Int32 = 0
    try driver.check(functions.deviceGet(&device, Int32(ordinal)), "cuDeviceGet")
    var name = [CChar](repeating: 0, count: 256)
    try driver.check(functions.deviceName(&name, Int32(name.count), device), "cuDeviceGetName")
    var memory = 0
    try driver.check(functions.deviceMemory(&memory, device), "cuDeviceTotalMem_v2")
    func attribute(_ number: Int32) throws -> Int {
      var value: Int32 = 0
      try driver.check(functions.deviceAttribute(&value, number, device), "cuDeviceGetAttribute")
      return Int(value)
    }
    self.ordinal = ordinal
    handle = device
    self.name = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    memoryBytes = memory
    // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR, _MULTIPROCESSOR_COUNT, _MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
    computeCapability = ComputeCapability(major: try attribute(75), minor: try attribute(76))
    multiprocessorCount = try attribute(16)
    sharedBytesPerBlock = try attribute(97)
    // CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID, _PCI_BUS_ID and _PCI_DEVICE_ID
    pciAddress = String(format: "%04x:%02x:%02x", try attribute(50), try attribute(33), try attribute(34))
  }
}

/// A device with its primary context.
public final class CUDADevice: Sendable {
  /// The driver that manages it.
  public let driver: CUDADriver
  /// What the driver reports about it.
  public let properties: CUDADeviceProperties
  private let context: CUDAHandle

  /// A device of the driver.
  ///
  /// - Throws: `CUDAError.noDevice` if there are not that many; `failedCall` if the device has no memory for a context.
  public init(_ driver: CUDADriver, ordinal: Int = 0) throws {
    let devices = try driver.devices()
    guard devices.indices.contains(ordinal) else { throw CUDAError.noDevice(ordinal: ordinal, count: devices.count) }
    self.driver = driver
    properties = devices[ordinal]
    var context: CUDAHandle = 0
    try driver.check(driver.functions.contextRetain(&context, properties.handle), "cuDevicePrimaryCtxRetain")
    self.context = context
  }

  deinit {
    _ = driver.functions.contextRelease(properties.handle)
  }

  /// Makes this device current for this thread's calls. Every call of the driver is preceded by this, because work may
  /// come from any thread; it takes far less time than a launch.
  func makeCurrent() throws {
    try driver.check(driver.functions.contextSetCurrent(context), "cuCtxSetCurrent")
  }

  /// The free and the total memory of the device, in bytes.
  ///
  /// - Throws: `CUDAError.failedCall`.
  public func memory() throws -> (free: Int, total: Int) {
    try makeCurrent()
    var (free, total) = (0, 0)
    try driver.check(driver.functions.memoryInformation(&free, &total), "cuMemGetInfo_v2")
    return (free, total)
  }
}
