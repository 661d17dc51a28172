// NVIDIA's library of matrix products, which may compute those of linear layers instead of our own kernels
// (CUDAEngine.Products). Nothing requires it.

import MVARFiles

/// The library.
package final class CuBLAS: Sendable {
  /// The name or path that it was loaded by.
  package let name: String
  /// Its version, which is that of the CUDA release that it belongs to.
  package let version: CUDAVersion
  let functions: Functions

  /// A library whose functions come from a table.
  ///
  /// - Parameters:
  ///   - name: its name in errors
  ///   - driver: the driver that it will work with, which does not support code of a later major version; nil for none
  ///   - symbols: the address of a function by its name in the library, such as `cublasGemmEx`.
  /// - Throws: `CUDAError` if a function is missing or the driver is too old for the library.
  package init(name: String, for driver: CUDAVersion? = nil, symbols: (String) -> UnsafeMutableRawPointer?) throws {
    let functions = try withoutActuallyEscaping(symbols) { symbols in
      try Functions(SymbolTable(library: name, symbols: symbols))
    }
    self.name = name
    self.functions = functions
    func property(_ number: Int32) throws -> Int {
      var value: Int32 = 0
      try functions.check(functions.property(number, &value), "cublasGetProperty")
      return Int(value)
    }
    // MAJOR_VERSION and MINOR_VERSION
    version = CUDAVersion(major: try property(0), minor: try property(1))
    try version.check(isKnownTo: driver)
    // In earlier versions, the number for the compute type had a different meaning.
    guard version.major >= 11 else { throw CUDAError.unsuitableLibrary("version \(version) is older than 11.0") }
  }

  /// The library that a search finds.
  ///
  /// - Parameter driver: as for a table.
  /// - Throws: `CUDAError.libraryNotFound` with every location that was tried.
  package static func find(_ search: LibrarySearch = LibrarySearch(), for driver: CUDAVersion?) throws -> CuBLAS {
    try search.load(.cublas) { path in
      let library = try DynamicLibrary(path)
      return try CuBLAS(name: path, for: driver) { library.symbol($0) }
    }
  }
}

extension CuBLAS {
  /// The library's functions. Most return a status, 0 for success.
  struct Functions: Sendable {
    /// → handle, for the current context
    let create: @convention(c) (UnsafeMutablePointer<CUDAHandle>) -> Int32
    /// (handle)
    let destroy: @convention(c) (CUDAHandle) -> Int32
    /// (which component of the version) → that component
    let property: @convention(c) (Int32, UnsafeMutablePointer<Int32>) -> Int32
    /// (status) → its name
    let statusName: @convention(c) (Int32) -> UnsafePointer<CChar>?
    /// (status) → the library's message for it
    let statusText: @convention(c) (Int32) -> UnsafePointer<CChar>?
    /// (handle, stream)
    let setStream: @convention(c) (CUDAHandle, CUDAHandle) -> Int32
    /// (handle, memory, bytes)
    let setWorkspace: @convention(c) (CUDAHandle, DeviceAddress, Int) -> Int32
    /// (handle, mode)
    let setMathMode: @convention(c) (CUDAHandle, Int32) -> Int32
    /// (handle; whether A and B are transposed; rows and columns of C, depth; α; A, its type, its column stride; the
    /// same for B; β; the same for C; compute type, algorithm): C = α·op(A)·op(B) + β·C, stored by columns
    let multiply:
      @convention(c) (
        CUDAHandle, Int32, Int32, Int32, Int32, Int32, UnsafePointer<Float>, DeviceAddress, Int32, Int32,
        DeviceAddress, Int32, Int32, UnsafePointer<Float>, DeviceAddress, Int32, Int32, Int32, Int32
      ) -> Int32

    init(_ table: SymbolTable) throws {
      create = try table.function("cublasCreate_v2")
      destroy = try table.function("cublasDestroy_v2")
      property = try table.function("cublasGetProperty")
      statusName = try table.function("cublasGetStatusName")
      statusText = try table.function("cublasGetStatusString")
      setStream = try table.function("cublasSetStream_v2")
      setWorkspace = try table.function("cublasSetWorkspace_v2")
      setMathMode = try table.function("cublasSetMathMode")
      multiply = try table.function("cublasGemmEx")
    }

    /// Throws `CUDAError.failedCall` unless a status is 0.
    func check(_ status: Int32, _ function: String) throws {
      guard status != 0 else { return }
      throw CUDAError.failedCall(
        function: function, code: status, name: statusName(status).map { String(cString: $0) } ?? "an unknown error",
        text: statusText(status).map { String(cString: $0) } ?? "no description")
    }
  }
}
