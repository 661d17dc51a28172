// The GPUs of several ranks, connected by NCCL: operations on device memory that all ranks do together, as work of each
// rank's stream. They return at once, and what follows on the stream sees their results.
//
// What NCCL guarantees (its documentation, "Collective Operations"): every rank gets the same values from a sum, and all
// ranks must submit the same operations in the same order. In which order it adds depends on the number of ranks, on how
// GPUs are connected and on the algorithm that it chooses for a size; it promises no bits across those, and in practice
// gives the same from run to run while none of them changes.

import CMVARNCCL
import Synchronization
import TensorCore

/// One rank's part in a group of GPUs.
package final class NCCLCommunicator: Sendable {
  /// The engine whose tensors it works on.
  package let engine: CUDAEngine
  /// The number of this rank, from 0.
  package let rank: Int
  /// How many ranks there are.
  package let count: Int
  private let library: NCCL
  private let handle: CUDAHandle
  private let isOpen = Mutex(true)

  /// ncclFloat32 and ncclSum
  private static let (float32, sum): (Int32, Int32) = (7, 0)

  /// Joins the other ranks; waits until all have called this.
  ///
  /// - Parameters:
  ///   - library: NCCL.
  ///   - identifier: what the first rank has made by `NCCL.makeIdentifier`.
  ///   - rank: the number of this rank, from 0.
  ///   - count: how many ranks there are, each with a GPU of its own.
  ///   - engine: the engine of this rank's GPU.
  /// - Throws: `CUDAError.failedCall`, also where two ranks have the same GPU.
  package init(_ library: NCCL, identifier: [UInt8], rank: Int, count: Int, on engine: CUDAEngine) throws {
    precondition(identifier.count == NCCL.identifierBytes, "an identifier of \(identifier.count) bytes")
    var id = NCCLUniqueID()
    withUnsafeMutableBytes(of: &id) { $0.copyBytes(from: identifier) }
    try engine.device.makeCurrent()
    var handle: CUDAHandle = 0
    try library.functions.check(
      library.functions.join(&handle, Int32(count), id, Int32(rank)), "ncclCommInitRank")
    self.library = library
    self.handle = handle
    self.engine = engine
    self.rank = rank
    self.count = count
  }

  deinit { abort() }

  /// Replaces the elements of a tensor by their sums over all ranks.
  ///
  /// - Parameter x: memory that nothing else uses; of the same number of elements on all ranks.
  /// - Throws: `CUDAError`; the error that made the engine fail.
  package func allReduce(_ x: Tensor<CUDA>) throws {
    let values = x.storage
    try submit("ncclAllReduce", [values]) {
      $0.allReduce(values.address, values.address, values.count, Self.float32, Self.sum, handle, engine.stream.handle)
    }
  }

  /// The sums over all ranks of this rank's part of a tensor, all parts being as long.
  ///
  /// - Parameter x: rank·N elements; the result has N.
  /// - Throws: `CUDAError`; the error that made the engine fail.
  package func reduceScatter(_ x: Tensor<CUDA>) throws -> Tensor<CUDA> {
    precondition(x.shape.count % count == 0, "reduceScatter: \(x.shape.count) elements for \(count) ranks")
    let part = CUDA.empty([x.shape.count / count], on: engine)
    let (values, sums) = (x.storage, part.storage)
    try submit("ncclReduceScatter", [values, sums]) {
      $0.reduceScatter(
        values.address, sums.address, sums.count, Self.float32, Self.sum, handle, engine.stream.handle)
    }
    return part
  }

  /// The elements of all ranks, in the order of ranks.
  ///
  /// - Parameter x: N elements; the result has rank·N.
  /// - Throws: `CUDAError`; the error that made the engine fail.
  package func allGather(_ x: Tensor<CUDA>) throws -> Tensor<CUDA> {
    let whole = CUDA.empty([x.shape.count * count], on: engine)
    let (values, all) = (x.storage, whole.storage)
    try submit("ncclAllGather", [values, all]) {
      $0.allGather(values.address, all.address, values.count, Self.float32, handle, engine.stream.handle)
    }
    return whole
  }

  /// Tensors that one rank has, on all ranks: the tensor itself on that rank, a new one on the others. They are
  /// submitted as a group.
  ///
  /// - Parameter tensors: of the same shapes on all ranks, each with the rank whose elements count.
  /// - Throws: `CUDAError`; the error that made the engine fail.
  package func broadcast(_ tensors: [(tensor: Tensor<CUDA>, root: Int)]) throws -> [Tensor<CUDA>] {
    let results = tensors.map { $0.root == rank ? $0.tensor : CUDA.empty($0.tensor.shape, on: engine) }
    try check(library.functions.beginGroup(), "ncclGroupStart")
    // A group that was begun is ended, whatever happens.
    let submitted = Result {
      for (result, (_, root)) in zip(results, tensors) {
        let values = result.storage
        try submit("ncclBroadcast", [values]) {
          $0.broadcast(
            values.address, values.address, values.count, Self.float32, Int32(root), handle, engine.stream.handle)
        }
      }
    }
    let ended = library.functions.endGroup()
    try submitted.get()
    try check(ended, "ncclGroupEnd")
    return results
  }

  /// Throws what went wrong since operations were submitted.
  package func checkForFailure() throws {
    var status: Int32 = 0
    try check(library.functions.asynchronousStatus(handle, &status), "ncclCommGetAsyncError")
    // ncclInProgress is none.
    if status != 7 { try check(status, "an operation of NCCL") }
  }

  /// Leaves the others after all work is done, as all ranks do.
  package func close() {
    guard takeIsOpen() else { return }
    try? engine.device.makeCurrent()
    _ = library.functions.destroy(handle)
  }

  /// Leaves the others in whatever state they are, from any thread; whoever waits for them on this rank is told.
  package func abort() {
    guard takeIsOpen() else { return }
    try? engine.device.makeCurrent()
    _ = library.functions.abort(handle)
  }

  private func takeIsOpen() -> Bool {
    isOpen.withLock { isOpen in
      defer { isOpen = false }
      return isOpen
    }
  }

  private func check(_ status: Int32, _ function: String) throws {
    try library.functions.check(status, function)
  }

  private func submit(_ name: String, _ arrays: [DeviceArray<Float>], _ call: (NCCL.Functions) -> Int32) throws {
    try engine.checkForFailure()
    guard isOpen.withLock(\.self) else { throw CUDAError.unsuitableLibrary("the GPUs are no longer connected") }
    guard arrays.allSatisfy({ $0.count > 0 }) else { return }
    try engine.device.makeCurrent()
    try check(call(library.functions), name)
    engine.stream.keep(arrays.map(\.buffer))
  }
}

extension DeviceArray {
  /// Where the values start in device memory.
  fileprivate var address: DeviceAddress { buffer.address + DeviceAddress(byteOffset) }
}
