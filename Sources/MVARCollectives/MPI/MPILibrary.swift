// MPI's library, found when the program runs: its functions and the constants of the two interfaces there are.
//
//                    Open MPI                            MPICH, Intel MPI, MVAPICH
//   handles          addresses of symbols                integers of 32 bits
//   MPI_COMM_WORLD   &ompi_mpi_comm_world                0x44000000
//   MPI_IN_PLACE     1                                   −1
//
// A handle is passed as an integer of the size of a pointer: a function that takes 32 bits reads the lower ones. A place for
// a handle has the size of a pointer and begins as zeros.

import Foundation
import MVARFiles

/// A loaded MPI library.
package struct MPILibrary: Sendable {
  typealias Handle = UInt
  typealias Buffer = UnsafeMutableRawPointer

  /// What it was loaded by.
  package let name: String
  /// Which interface it has.
  package let interface: MPILauncher.Interface

  let initialize: @convention(c) (Buffer?, Buffer?, Int32, UnsafeMutablePointer<Int32>) -> Int32
  let isInitialized: @convention(c) (UnsafeMutablePointer<Int32>) -> Int32
  let finalize: @convention(c) () -> Int32
  let commRank: @convention(c) (Handle, UnsafeMutablePointer<Int32>) -> Int32
  let commSize: @convention(c) (Handle, UnsafeMutablePointer<Int32>) -> Int32
  let commSplitType: @convention(c) (Handle, Int32, Int32, Handle, UnsafeMutablePointer<Handle>) -> Int32
  let setErrorHandler: @convention(c) (Handle, Handle) -> Int32
  let allReduce: @convention(c) (Buffer?, Buffer?, Int32, Handle, Handle, Handle) -> Int32
  let broadcast: @convention(c) (Buffer?, Int32, Handle, Int32, Handle) -> Int32
  let allGather: @convention(c) (Buffer?, Int32, Handle, Buffer?, Int32, Handle, Handle) -> Int32
  let barrier: @convention(c) (Handle) -> Int32
  let abort: @convention(c) (Handle, Int32) -> Int32
  let errorString: @convention(c) (Int32, UnsafeMutablePointer<CChar>, UnsafeMutablePointer<Int32>) -> Int32
  let libraryVersion: @convention(c) (UnsafeMutablePointer<CChar>, UnsafeMutablePointer<Int32>) -> Int32

  /// MPI_COMM_WORLD
  let world: Handle
  /// MPI_ERRORS_RETURN
  let errorsReturn: Handle
  /// MPI_INFO_NULL
  let noInfo: Handle
  /// MPI_SUM
  let sum: Handle
  /// MPI_FLOAT, MPI_DOUBLE, MPI_INT64_T and MPI_BYTE
  let (float32, float64, int64, byte): (Handle, Handle, Handle, Handle)
  /// MPI_COMM_TYPE_SHARED
  let sharedMemory: Int32

  /// MPI_IN_PLACE
  var inPlace: Buffer? { Buffer(bitPattern: interface == .openMPI ? 1 : -1) }

  /// Loads a library by name or path.
  ///
  /// - Parameter isForUse: whether it will be started; else it is only asked for its version, and two may be loaded.
  /// - Throws: `DynamicLibraryError` or `CollectivesError.functionMissing`.
  package init(_ name: String, isForUse: Bool = true) throws {
    // Open MPI loads plug-ins, which use its symbols.
    let library = try DynamicLibrary(name, isGlobal: isForUse)
    func function<Function>(_ symbol: String, as type: Function.Type = Function.self) throws -> Function {
      guard let address = library.symbol(symbol) else {
        throw CollectivesError.functionMissing(symbol, library: name)
      }
      return unsafeBitCast(address, to: type)
    }
    self.name = name
    interface = library.symbol("ompi_mpi_comm_world") == nil ? .mpich : .openMPI
    let isOpenMPI = interface == .openMPI
    func handle(_ symbol: String, _ number: Handle) throws -> Handle {
      guard isOpenMPI else { return number }
      guard let address = library.symbol(symbol) else {
        throw CollectivesError.functionMissing(symbol, library: name)
      }
      return Handle(bitPattern: address)
    }
    initialize = try function("MPI_Init_thread")
    isInitialized = try function("MPI_Initialized")
    finalize = try function("MPI_Finalize")
    commRank = try function("MPI_Comm_rank")
    commSize = try function("MPI_Comm_size")
    commSplitType = try function("MPI_Comm_split_type")
    setErrorHandler = try function("MPI_Comm_set_errhandler")
    allReduce = try function("MPI_Allreduce")
    broadcast = try function("MPI_Bcast")
    allGather = try function("MPI_Allgather")
    barrier = try function("MPI_Barrier")
    abort = try function("MPI_Abort")
    errorString = try function("MPI_Error_string")
    libraryVersion = try function("MPI_Get_library_version")
    world = try handle("ompi_mpi_comm_world", 0x4400_0000)
    errorsReturn = try handle("ompi_mpi_errors_return", 0x5400_0001)
    noInfo = try handle("ompi_mpi_info_null", 0x1c00_0000)
    sum = try handle("ompi_mpi_op_sum", 0x5800_0003)
    float32 = try handle("ompi_mpi_float", 0x4c00_040a)
    float64 = try handle("ompi_mpi_double", 0x4c00_080b)
    int64 = try handle("ompi_mpi_int64_t", 0x4c00_083a)
    byte = try handle("ompi_mpi_byte", 0x4c00_010d)
    sharedMemory = isOpenMPI ? 0 : 1
  }

  /// The library of a launcher.
  ///
  /// - Parameter environment: `MVAR_MPI` names the file if it is elsewhere; nothing else is tried then.
  /// - Throws: `CollectivesError.libraryNotFound` with everything that was tried.
  package static func find(
    for launcher: MPILauncher, isForUse: Bool = true,
    environment: [String: String] = ProcessInfo.processInfo.environment
  ) throws -> MPILibrary {
    let named = environment["MVAR_MPI"].flatMap { $0.isEmpty ? nil : $0 }
    var attempts: [LibraryAttempt] = []
    for place in named.map({ [$0] }) ?? launcher.libraryNames {
      do {
        let library = try MPILibrary(place, isForUse: isForUse)
        guard library.interface == launcher.interface else {
          attempts.append(LibraryAttempt(place: place, reason: "is another MPI's library"))
          continue
        }
        return library
      } catch {
        attempts.append(LibraryAttempt(place: place, reason: "\(error)"))
      }
    }
    throw CollectivesError.libraryNotFound(launcher: launcher.name, attempts: attempts)
  }

  /// What the library calls itself: the first line of its version. It need not have been initialized.
  package var version: String {
    var (text, length) = ([CChar](repeating: 0, count: 8192), Int32(0))
    guard libraryVersion(&text, &length) == 0 else { return name }
    let bytes = text.prefix(max(0, Int(length))).prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    let words = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline).first.map(String.init) ?? name
    // "MPICH Version:      4.0.2", "Open MPI v4.1.4, package: …"
    let first = words.split(separator: ",")[0]
    return first.replacingOccurrences(of: "Version:", with: "").split(whereSeparator: \.isWhitespace).joined(
      separator: " ")
  }

  /// Throws for a status that is an error.
  func check(_ status: Int32, _ function: String) throws {
    guard status != 0 else { return }
    var (text, length) = ([CChar](repeating: 0, count: 1024), Int32(0))
    let isKnown = errorString(status, &text, &length) == 0
    let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    throw CollectivesError.failedCall(
      function: function, code: status, text: isKnown ? String(decoding: bytes, as: UTF8.self) : "unknown error")
  }
}
