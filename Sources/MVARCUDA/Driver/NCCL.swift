// NVIDIA's library of operations of several GPUs (`libnccl.so.2`), found when the program runs as the other libraries
// are. Nothing requires it: without it, gradients are added up through the host.

import CMVARNCCL
import MVARFiles

/// The library.
package final class NCCL: Sendable {
  /// The name or path that it was loaded by.
  package let name: String
  /// Its version, such as `2.21.5`.
  package let version: String
  let functions: Functions

  /// The bytes that identify a communicator.
  package static let identifierBytes = MemoryLayout<NCCLUniqueID>.size

  /// A library whose functions come from a table.
  ///
  /// - Parameters:
  ///   - name: its name in errors
  ///   - symbols: the address of a function by its name in the library, such as `ncclAllReduce`.
  /// - Throws: `CUDAError` if a function is missing or the library is older than 2.13.
  package init(name: String, symbols: (String) -> UnsafeMutableRawPointer?) throws {
    let (number, functions) = try withoutActuallyEscaping(symbols) { symbols in
      let table = SymbolTable(library: name, symbols: symbols)
      let versionOf: @convention(c) (UnsafeMutablePointer<Int32>) -> Int32 = try table.function("ncclGetVersion")
      var number: Int32 = 0
      let status = versionOf(&number)
      guard status == 0 else { throw CUDAError.unsuitableLibrary("ncclGetVersion failed: \(status)") }
      // Before the functions, so that an old library is named as such. 2.13 is the first that explains its errors.
      guard number >= 21300 else {
        throw CUDAError.unsuitableLibrary("version \(Self.text(of: Int(number))) is older than 2.13")
      }
      return (Int(number), try Functions(table))
    }
    self.name = name
    version = Self.text(of: number)
    self.functions = functions
  }

  /// The library that a search finds.
  ///
  /// - Throws: `CUDAError.libraryNotFound` with every location that was tried.
  package static func find(_ search: LibrarySearch = LibrarySearch()) throws -> NCCL {
    try search.load(.nccl) { path in
      let library = try DynamicLibrary(path)
      return try NCCL(name: path) { library.symbol($0) }
    }
  }

  /// New bytes that identify a communicator: the first rank makes them and sends them to all others.
  ///
  /// - Throws: `CUDAError.failedCall`, for example where no network interface is found.
  package func makeIdentifier() throws -> [UInt8] {
    var id = NCCLUniqueID()
    try functions.check(functions.makeIdentifier(&id), "ncclGetUniqueId")
    return withUnsafeBytes(of: &id) { [UInt8]($0) }
  }

  /// Version numbers are 10000·major + 100·minor + patch, and up to 2.8 they are 1000·major + 100·minor + patch.
  private static func text(of number: Int) -> String {
    let major = number < 10000 ? number / 1000 : number / 10000
    let rest = number < 10000 ? number % 1000 : number % 10000
    return "\(major).\(rest / 100).\(rest % 100)"
  }
}

extension NCCL {
  /// The library's functions. Most return a status, 0 for success.
  struct Functions: Sendable {
    /// (status) → the library's message for it
    let statusText: @convention(c) (Int32) -> UnsafePointer<CChar>?
    /// (communicator, or none) → what the library says about the last error of this process
    let lastError: @convention(c) (CUDAHandle) -> UnsafePointer<CChar>?
    /// → bytes that identify a communicator
    let makeIdentifier: @convention(c) (UnsafeMutablePointer<NCCLUniqueID>) -> Int32
    /// (→ communicator, number of ranks, its identifier, own rank): waits for all ranks; for the current device
    let join: @convention(c) (UnsafeMutablePointer<CUDAHandle>, Int32, NCCLUniqueID, Int32) -> Int32
    /// (communicator): once all its work is done, by all ranks
    let destroy: @convention(c) (CUDAHandle) -> Int32
    /// (communicator): whatever others do, also while this rank waits for them
    let abort: @convention(c) (CUDAHandle) -> Int32
    /// (communicator) → the status of what the device does
    let asynchronousStatus: @convention(c) (CUDAHandle, UnsafeMutablePointer<Int32>) -> Int32
    /// Begins a group of operations, which are submitted together.
    let beginGroup: @convention(c) () -> Int32
    /// Submits a group.
    let endGroup: @convention(c) () -> Int32
    /// (from, to, elements, their type, what is computed, communicator, stream)
    let allReduce: @convention(c) (DeviceAddress, DeviceAddress, Int, Int32, Int32, CUDAHandle, CUDAHandle) -> Int32
    /// (from, to, elements that each rank gets, their type, what is computed, communicator, stream)
    let reduceScatter: @convention(c) (DeviceAddress, DeviceAddress, Int, Int32, Int32, CUDAHandle, CUDAHandle) -> Int32
    /// (from, to, elements of each rank, their type, communicator, stream)
    let allGather: @convention(c) (DeviceAddress, DeviceAddress, Int, Int32, CUDAHandle, CUDAHandle) -> Int32
    /// (from, to, elements, their type, rank that has them, communicator, stream)
    let broadcast: @convention(c) (DeviceAddress, DeviceAddress, Int, Int32, Int32, CUDAHandle, CUDAHandle) -> Int32

    init(_ table: SymbolTable) throws {
      statusText = try table.function("ncclGetErrorString")
      lastError = try table.function("ncclGetLastError")
      makeIdentifier = try table.function("ncclGetUniqueId")
      join = try table.function("ncclCommInitRank")
      destroy = try table.function("ncclCommDestroy")
      abort = try table.function("ncclCommAbort")
      asynchronousStatus = try table.function("ncclCommGetAsyncError")
      beginGroup = try table.function("ncclGroupStart")
      endGroup = try table.function("ncclGroupEnd")
      allReduce = try table.function("ncclAllReduce")
      reduceScatter = try table.function("ncclReduceScatter")
      allGather = try table.function("ncclAllGather")
      broadcast = try table.function("ncclBroadcast")
    }

    /// ncclResult_t
    private static let names = [
      "ncclSuccess", "ncclUnhandledCudaError", "ncclSystemError", "ncclInternalError", "ncclInvalidArgument",
      "ncclInvalidUsage", "ncclRemoteError", "ncclInProgress",
    ]

    /// Throws `CUDAError.failedCall` unless a status is 0, with the library's explanation where it has one.
    func check(_ status: Int32, _ function: String) throws {
      guard status != 0 else { return }
      let last = lastError(0).map { String(cString: $0) } ?? ""
      // It may have several lines, and end in one.
      let sentence = last.split(whereSeparator: \.isNewline).last.map(String.init) ?? ""
      let text = sentence.isEmpty ? statusText(status).map { String(cString: $0) } ?? "no description" : sentence
      let isKnown = Self.names.indices.contains(Int(status))
      throw CUDAError.failedCall(
        function: function, code: status, name: isKnown ? Self.names[Int(status)] : "an unknown error", text: text)
    }
  }
}
