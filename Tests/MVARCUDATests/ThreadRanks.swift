// Ranks that are threads of this process, each with an emulated GPU of its own: what processes are in a run.

import CUDAEmulator
import Foundation
import MVARCUDA
import MVARCollectives
import Synchronization
import Testing

/// One of several threads that work together.
final class ThreadRank: Collectives {
  /// Where all threads leave their bytes.
  private final class Table: @unchecked Sendable {
    private let condition = NSCondition()
    private var parts: [Int: [UInt8]] = [:]
    private var complete: [[UInt8]] = []
    private var generation = 0

    /// The bytes of all, once all have come.
    func exchange(_ bytes: [UInt8], of rank: Int, count: Int) -> [[UInt8]] {
      condition.lock()
      defer { condition.unlock() }
      parts[rank] = bytes
      let own = generation
      if parts.count == count {
        // The next exchange cannot be complete before every thread has returned from this one.
        complete = (0..<count).map { parts[$0]! }
        parts = [:]
        generation += 1
        condition.broadcast()
      }
      while generation == own { condition.wait() }
      return complete
    }
  }

  let rank: Int
  let count: Int
  var localRank: Int { rank }
  var name: String { "threads" }
  private let table: Table

  private init(_ rank: Int, _ count: Int, _ table: Table) {
    (self.rank, self.count, self.table) = (rank, count, table)
  }

  func allGather(_ bytes: [UInt8]) -> [[UInt8]] { table.exchange(bytes, of: rank, count: count) }

  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) {
    bytes.copyBytes(from: allGather([UInt8](bytes))[root])
  }

  func allReduce(_ values: UnsafeMutableRawBufferPointer, _ type: CollectiveScalarType) {
    func add<Number: Numeric>(_: Number.Type) {
      let all = allGather([UInt8](values)).map { bytes in
        bytes.withUnsafeBytes { [Number]($0.bindMemory(to: Number.self)) }
      }
      let sums = values.bindMemory(to: Number.self)
      for place in sums.indices { sums[place] = all[1...].reduce(all[0][place]) { $0 + $1[place] } }
    }
    switch type {
    case .float32: add(Float.self)
    case .float64: add(Double.self)
    case .int64: add(Int64.self)
    }
  }

  func barrier() { _ = allGather([]) }
  func abort(status: Int32) -> Never { exit(status) }

  /// Runs a body on as many threads, each with an engine of the GPU of its number.
  ///
  /// - Returns: what the bodies return, in the order of ranks.
  static func run<Output: Sendable>(
    _ count: Int, sharingGPU: Bool = false, _ body: @escaping @Sendable (ThreadRank, CUDAEngine) throws -> Output
  ) -> [Result<Output, any Error>] {
    let table = Table()
    let results = Mutex<[Int: Result<Output, any Error>]>([:])
    cudaemu_set_devices(Int32(count))
    defer { cudaemu_set_devices(0) }
    let group = DispatchGroup()
    for rank in 0..<count {
      group.enter()
      let thread = Thread {
        let result = Result { try body(ThreadRank(rank, count, table), engine(sharingGPU ? 0 : rank)) }
        results.withLock { $0[rank] = result }
        group.leave()
      }
      thread.stackSize = 8 << 20
      thread.start()
    }
    group.wait()
    return results.withLock { results in (0..<count).map { results[$0]! } }
  }

  /// An engine of an emulated GPU.
  private static func engine(_ ordinal: Int) throws -> CUDAEngine {
    try CUDAEngine(CUDADevice(Emulator.driver(), ordinal: ordinal), memory: .exact) { Emulator.image($0) }
  }
}

/// The library that the emulator stands in for, with some of its functions replaced.
func emulatedNCCL(_ replacement: (String) -> UnsafeMutableRawPointer? = { _ in nil }) throws -> NCCL {
  try NCCL(name: "emulator") { replacement($0) ?? cudaemu_symbol($0) }
}
