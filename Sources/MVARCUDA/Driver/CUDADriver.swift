// The driver: its functions, its version, its devices, and its errors in words.
//
// The functions come from a table by name, so that either the real driver or the tests' emulator can provide them.

import Foundation
import MVARFiles

/// A version of CUDA.
public struct CUDAVersion: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// 12 in 12.4.
  public let major: Int
  /// 4 in 12.4.
  public let minor: Int

  /// The version `major.minor`.
  public init(major: Int, minor: Int) {
    self.major = major
    self.minor = minor
  }

  /// `12.4`
  public var description: String { "\(major).\(minor)" }

  /// Whether one version is earlier than another.
  public static func < (one: CUDAVersion, other: CUDAVersion) -> Bool {
    (one.major, one.minor) < (other.major, other.minor)
  }

  /// Refuses a library of this version if a driver does not support its code; nil for no driver.
  ///
  /// - Throws: `CUDAError.unsuitableLibrary`.
  func check(isKnownTo driver: CUDAVersion?) throws {
    if let driver, major > driver.major {
      throw CUDAError.unsuitableLibrary("version \(self) is too new for the driver, which knows CUDA \(driver)")
    }
  }
}

/// A CUDA driver.
public final class CUDADriver: Sendable {
  /// The name or path that the driver was loaded by.
  public let name: String
  /// The newest CUDA version that it supports.
  public let version: CUDAVersion
  let functions: DriverFunctions

  /// A driver whose functions come from a table.
  ///
  /// - Parameters:
  ///   - name: its name in errors
  ///   - symbols: the address of a function by its name in the driver API, such as `cuMemAlloc_v2`.
  /// - Throws: `CUDAError` if a function is missing or the driver does not start, for example without a device.
  package init(name: String, symbols: (String) -> UnsafeMutableRawPointer?) throws {
    let functions = try withoutActuallyEscaping(symbols) { symbols in
      try DriverFunctions(SymbolTable(library: name, symbols: symbols))
    }
    self.name = name
    self.functions = functions
    try Self.check(functions.initialize(0), "cuInit", functions)
    var number: Int32 = 0
    try Self.check(functions.driverVersion(&number), "cuDriverGetVersion", functions)
    version = CUDAVersion(major: Int(number) / 1000, minor: Int(number) % 1000 / 10)
  }

  /// The driver of this machine.
  ///
  /// - Throws: `CUDAError.libraryNotFound` when there is none, or none that starts, with every location that was tried.
  public static func system() throws -> CUDADriver { try system(LibrarySearch()) }

  /// The driver that a search finds.
  ///
  /// - Throws: as `system()`.
  package static func system(_ search: LibrarySearch) throws -> CUDADriver {
    try search.load(.driver) { path in
      let library = try DynamicLibrary(path)
      return try CUDADriver(name: path) { library.symbol($0) }
    }
  }

  /// What the driver reports about its devices.
  ///
  /// - Throws: `CUDAError.failedCall`.
  public func devices() throws -> [CUDADeviceProperties] {
    var count: Int32 = 0
    try check(functions.deviceCount(&count), "cuDeviceGetCount")
    return try (0..<Int(count)).map { try CUDADeviceProperties(ordinal: $0, driver: self) }
  }

  /// Turns a status into an error.
  ///
  /// - Parameter function: the function that returned the status.
  /// - Throws: `CUDAError.failedCall` unless the status is 0.
  func check(_ status: Int32, _ function: String) throws {
    try Self.check(status, function, functions)
  }

  private static func check(_ status: Int32, _ function: String, _ functions: DriverFunctions) throws {
    if status == 0 { return }
    var name: UnsafePointer<CChar>?
    var text: UnsafePointer<CChar>?
    let hasName = functions.errorName(status, &name) == 0
    let hasText = functions.errorText(status, &text) == 0
    throw CUDAError.failedCall(
      function: function, code: status,
      name: hasName ? name.map { String(cString: $0) } ?? "an unknown error" : "an unknown error",
      text: hasText ? text.map { String(cString: $0) } ?? "no description" : "no description")
  }
}
