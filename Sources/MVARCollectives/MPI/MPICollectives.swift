// The ranks of an MPI run. Every count is an `int` in MPI, so long arrays go in pieces.

import Foundation
import MVARFiles

/// The processes that mpirun has started.
public final class MPICollectives: Collectives {
  private let library: MPILibrary
  /// The number of this process, from 0.
  public let rank: Int
  /// How many processes there are.
  public let count: Int
  /// The number of this process among those of the same machine, from 0.
  public let localRank: Int
  /// How many processes this machine has.
  public let localCount: Int

  /// The library and its version.
  public var name: String { library.version }

  /// The most elements of one call.
  private static let longest = 1 << 28

  /// Joins the other processes.
  ///
  /// - Throws: `CollectivesError` when there is no library of this mpirun, or it knows of other processes.
  package init(
    _ launcher: MPILauncher, environment: [String: String] = ProcessInfo.processInfo.environment
  ) throws {
    library = try MPILibrary.find(for: launcher, environment: environment)
    var (isInitialized, provided): (Int32, Int32) = (0, 0)
    try library.check(library.isInitialized(&isInitialized), "MPI_Initialized")
    if isInitialized == 0 {
      // MPI_THREAD_SERIALIZED: from several threads, one at a time.
      try library.check(library.initialize(nil, nil, 2, &provided), "MPI_Init_thread")
    }
    try library.check(library.setErrorHandler(library.world, library.errorsReturn), "MPI_Comm_set_errhandler")
    var (rank, count, local, onMachine): (Int32, Int32, Int32, Int32) = (0, 0, 0, 0)
    try library.check(library.commRank(library.world, &rank), "MPI_Comm_rank")
    try library.check(library.commSize(library.world, &count), "MPI_Comm_size")
    (self.rank, self.count) = (Int(rank), Int(count))
    var machine: MPILibrary.Handle = 0
    try library.check(
      library.commSplitType(library.world, library.sharedMemory, rank, library.noInfo, &machine), "MPI_Comm_split_type")
    try library.check(library.commRank(machine, &local), "MPI_Comm_rank")
    try library.check(library.commSize(machine, &onMachine), "MPI_Comm_size")
    (localRank, localCount) = (Int(local), Int(onMachine))
    guard self.count == launcher.count else {
      throw CollectivesError.wrongCount(
        library: library.version, found: self.count, launcher: launcher.name, expected: launcher.count)
    }
  }

  /// Leaves the others, once all ranks do.
  public func finish() { _ = library.finalize() }

  /// By MPI_Allreduce, in place.
  public func allReduce(_ values: UnsafeMutableRawBufferPointer, _ type: CollectiveScalarType) throws {
    guard count > 1, let start = values.baseAddress else { return }
    let handle =
      switch type {
      case .float32: library.float32
      case .float64: library.float64
      case .int64: library.int64
      }
    let numbers = values.count / type.byteCount
    for first in stride(from: 0, to: numbers, by: Self.longest) {
      let length = Int32(min(Self.longest, numbers - first))
      try library.check(
        library.allReduce(
          library.inPlace, start + first * type.byteCount, length, handle, library.sum, library.world), "MPI_Allreduce")
    }
  }

  /// By MPI_Bcast.
  public func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws {
    guard count > 1, let start = bytes.baseAddress else { return }
    for first in stride(from: 0, to: bytes.count, by: Self.longest) {
      let length = Int32(min(Self.longest, bytes.count - first))
      try library.check(
        library.broadcast(start + first, length, library.byte, Int32(root), library.world), "MPI_Bcast")
    }
  }

  /// By MPI_Allgather of as many bytes as the longest has.
  public func allGather(_ bytes: [UInt8]) throws -> [[UInt8]] {
    guard count > 1 else { return [bytes] }
    // How many each has, then as many of each as the longest has.
    var lengths = [Int64](repeating: 0, count: count)
    lengths[rank] = Int64(bytes.count)
    try lengths.withUnsafeMutableBytes { try allReduce($0, .int64) }
    let longest = Int(lengths.max() ?? 0)
    guard longest > 0 else { return lengths.map { _ in [] } }
    var parts = [[UInt8]](repeating: [], count: count)
    for first in stride(from: 0, to: longest, by: Self.longest / count) {
      let length = min(Self.longest / count, longest - first)
      var own = [UInt8](repeating: 0, count: length)
      if first < bytes.count {
        own.replaceSubrange(0..<min(length, bytes.count - first), with: bytes[first...].prefix(length))
      }
      var all = [UInt8](repeating: 0, count: length * count)
      let status = own.withUnsafeMutableBytes { own in
        all.withUnsafeMutableBytes {
          library.allGather(
            own.baseAddress, Int32(length), library.byte, $0.baseAddress, Int32(length), library.byte, library.world)
        }
      }
      try library.check(status, "MPI_Allgather")
      for other in 0..<count {
        let rest = max(0, min(length, Int(lengths[other]) - first))
        parts[other] += all[other * length..<other * length + rest]
      }
    }
    return parts
  }

  /// By MPI_Barrier.
  public func barrier() throws {
    guard count > 1 else { return }
    try library.check(library.barrier(library.world), "MPI_Barrier")
  }

  /// By MPI_Abort, after which mpirun ends whoever is left.
  public func abort(status: Int32) -> Never {
    _ = library.abort(library.world, status)
    exit(status)
  }
}
