// Ranks with a GPU each: what is in device memory goes from GPU to GPU by NCCL, and all else by the processes' own
// collectives (MPI), which also bring the ranks together.
//
//     rank 0: ncclGetUniqueId → 128 bytes, by MPI to all → ncclCommInitRank on every rank
//
// Whether that is possible is agreed upon by all ranks first, since NCCL waits for whoever does not come: each says which
// library it has found and which GPU it uses.

import Foundation
import MVARCollectives
import MVARFiles
import TensorCore

/// The processes of a run, with their GPUs.
package final class CUDACollectives: TensorCollectives {
  /// Operations on the host's memory.
  package let host: any Collectives
  private let communicator: NCCLCommunicator
  private let version: String

  /// How GPUs of several ranks can add their numbers up.
  package enum Connection {
    /// By NCCL.
    case connected(CUDACollectives)
    /// Only through the host, for a reason.
    case hostOnly(String)
  }

  /// Connects the GPUs of all ranks if that is possible; called by all ranks.
  ///
  /// - Parameters:
  ///   - host: the processes.
  ///   - engine: this rank's GPU.
  ///   - search: where NCCL is looked for. If `MVAR_NCCL` is `off` on any rank, it is not used.
  ///   - find: loads it.
  /// - Throws: what `host` throws; `CUDAError.failedCall` if NCCL is there and fails, which ends all ranks.
  package static func connect(
    _ host: any Collectives, _ engine: CUDAEngine, _ search: LibrarySearch = LibrarySearch(),
    find: (LibrarySearch) throws -> NCCL = { try NCCL.find($0) }
  ) throws -> Connection {
    let isOff = search.environment[CUDALibrary.nccl.variable] == "off"
    let found = Result { try isOff ? nil : find(search) }
    let own = RankGPU(
      version: (try? found.get())??.version,
      problem: isOff ? "\(CUDALibrary.nccl.variable) is off" : found.failureText,
      machine: RankGPU.machine, gpu: engine.device.properties.pciAddress)
    let all = try host.texts(own.text).map { RankGPU(text: $0) }
    if let obstacle = RankGPU.obstacle(all) { return .hostOnly(obstacle) }
    guard let library = try? found.get() else { return .hostOnly("NCCL was not found") }
    // If the first rank cannot make an identifier, the others learn why.
    let made = host.isRoot ? Result { try library.makeIdentifier() } : .success([])
    let identifier = try host.allGather((try? made.get()) ?? [])[0]
    guard identifier.count == NCCL.identifierBytes else {
      return .hostOnly(made.failureText ?? "rank 0 could not make an identifier of a communicator")
    }
    let communicator = try NCCLCommunicator(
      library, identifier: identifier, rank: host.rank, count: host.count, on: engine)
    return .connected(CUDACollectives(host, communicator, library.version))
  }

  private init(_ host: any Collectives, _ communicator: NCCLCommunicator, _ version: String) {
    self.host = host
    self.communicator = communicator
    self.version = version
  }

  /// What carries the bytes between GPUs.
  package var nameBetweenGPUs: String { "NCCL \(version)" }

  /// The means of tensors over all ranks: they are copied to one buffer, multiplied by 1/N, and added up there; the
  /// results are its parts.
  package func means(of tensors: [Tensor<CUDA>]) throws -> [Tensor<CUDA>] {
    let engine = communicator.engine
    let bucket = CUDA.empty([tensors.reduce(0) { $0 + $1.shape.count }], on: engine)
    var places: [Range<Int>] = []
    for tensor in tensors {
      let start = places.last?.upperBound ?? 0
      places.append(start..<start + tensor.shape.count)
      let (source, target) = (tensor.storage, bucket.storage)
      engine.attempt {
        try engine.stream.copy(
          source.count * 4, from: source.buffer, at: source.byteOffset, to: target.buffer,
          at: target.byteOffset + start * 4)
      }
    }
    let scaled = CUDA.multiply(bucket, by: 1 / Float(count))
    try communicator.allReduce(scaled)
    try communicator.checkForFailure()
    return zip(tensors, places).map { Tensor(shape: $0.shape, storage: scaled.storage.slice($1)) }
  }

  /// Tensors of which each has the right elements on one rank, on all ranks.
  package func broadcast(_ tensors: [(tensor: Tensor<CUDA>, root: Int)]) throws -> [Tensor<CUDA>] {
    let results = try communicator.broadcast(tensors)
    try communicator.checkForFailure()
    return results
  }

  /// Leaves the others, as all ranks do at the end: their GPUs must have finished what they share.
  package func finish() {
    do {
      try communicator.engine.synchronize()
      try host.barrier()
      communicator.close()
    } catch {
      communicator.abort()
    }
  }
}

// MARK: - What goes through the host

extension CUDACollectives {
  /// The number of this process, from 0.
  package var rank: Int { host.rank }
  /// How many processes there are.
  package var count: Int { host.count }
  /// The number of this process among those of the same machine, from 0.
  package var localRank: Int { host.localRank }
  /// Both libraries.
  package var name: String { "\(host.name), \(nameBetweenGPUs) between GPUs" }

  /// Through the host.
  package func allReduce(_ values: UnsafeMutableRawBufferPointer, _ type: CollectiveScalarType) throws {
    try host.allReduce(values, type)
  }
  /// Through the host.
  package func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws {
    try host.broadcast(bytes, from: root)
  }
  /// Through the host.
  package func allGather(_ bytes: [UInt8]) throws -> [[UInt8]] { try host.allGather(bytes) }
  /// Of the processes; their GPUs may still be working.
  package func barrier() throws { try host.barrier() }
  /// Ends all ranks.
  package func abort(status: Int32) -> Never { host.abort(status: status) }
}

extension Result {
  /// The sentence of a failure; nil for success.
  fileprivate var failureText: String? {
    if case .failure(let error) = self { "\(error)" } else { nil }
  }
}
