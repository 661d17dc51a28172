// One rank of `gpu-check nccl`: it joins the others through a file, compares what NCCL computes with sums of its own, and
// times it. The first rank reports.

import Foundation
import MVARCUDA
import MVARTool
import TensorCore

/// A rank with its GPU.
struct RankOfGPUs {
  let device: DeviceOptions
  let rank: Int
  let count: Int
  /// The file with the bytes that identify the communicator.
  let identifier: String
  /// For how many seconds the file is waited for.
  let patience: Double

  /// Checks, then times.
  func run() throws {
    let engine = try device.engine(ordinal: rank % max(device.deviceCount(), 1))
    let library = try device.nccl()
    let began = ContinuousClock.now
    let communicator = try NCCLCommunicator(
      library, identifier: try identifier(of: library), rank: rank, count: count, on: engine)
    report("joining", "seconds", String(format: "%.2f", (ContinuousClock.now - began) / .seconds(1)))
    try check(communicator)
    // All operations of a kind have the same number on all ranks, or they would wait for one another.
    for bytes in device.small ? [1 << 16] : [1 << 20, 1 << 24, 1 << 28] { try time(communicator, bytes) }
    try engine.synchronize()
    communicator.close()
  }

  /// The title of the table.
  private var section: String { "NCCL, \(count) \(count == 1 ? "rank" : "ranks")" }

  private func report(_ row: String, _ column: String, _ text: String) {
    if rank == 0 { Measurement(section, row, column, text).report() }
  }

  /// The bytes that the first rank makes, and the others find in the file.
  private func identifier(of library: NCCL) throws -> [UInt8] {
    if rank == 0 {
      let bytes = try library.makeIdentifier()
      try Data(bytes).write(to: URL(filePath: identifier), options: .atomic)
      return bytes
    }
    let end = ContinuousClock.now + .seconds(patience)
    while ContinuousClock.now < end {
      if let data = FileManager.default.contents(atPath: identifier), data.count == NCCL.identifierBytes {
        return [UInt8](data)
      }
      Thread.sleep(forTimeInterval: 0.02)
    }
    throw Failure("rank 0 has made no identifier")
  }

  /// Compares every operation with what the host computes from the same numbers, which every rank can make.
  private func check(_ ranks: NCCLCommunicator) throws {
    let length = (device.small ? 1000 : 1 << 20) * count
    let all: [[Float]] = try (0..<count).map { rank in
      let values: Tensor<CPU<Float>> = try numbers([length], seed: UInt64(rank + 1), on: HostDevice())
      return try values.scalars()
    }
    // Of one or two numbers, in whatever order: exact.
    let sums = all[0].indices.map { place in all.reduce(0) { $0 + $1[place] } }
    let own = Array(rank * (length / count)..<(rank + 1) * (length / count))
    func tensor() throws -> Tensor<CUDA> { try Tensor(all[rank], shape: [length], on: ranks.engine) }
    let reduced = try tensor()
    try ranks.allReduce(reduced)
    let part = try ranks.reduceScatter(tensor())
    let whole = try ranks.allGather(part)
    let copies = try ranks.broadcast([(tensor(), count - 1), (tensor(), 0)])
    try ranks.checkForFailure()
    var wrong: [String] = []
    for (name, found, expected) in [
      ("ncclAllReduce", reduced, sums), ("ncclReduceScatter", part, own.map { sums[$0] }),
      ("ncclAllGather", whole, sums), ("ncclBroadcast", copies[0], all[count - 1]),
      ("ncclBroadcast of the first", copies[1], all[0]),
    ] {
      let different = zip(try found.scalars(), expected).count { $0 != $1 }
      report(name, "elements that differ", "\(different) of \(expected.count)")
      if different > 0 { wrong.append("\(different) elements of \(name) differ") }
    }
    guard wrong.isEmpty else { throw Failure(wrong.joined(separator: ", ")) }
  }

  private func time(_ ranks: NCCLCommunicator, _ bytes: Int) throws {
    let x = Tensor<CUDA>(repeating: 0, shape: [bytes / 4 / count * count], on: ranks.engine)
    let part = x.rows(0..<x.shape.count / count)
    for (name, work) in [
      ("ncclAllReduce", { try ranks.allReduce(x) }), ("ncclReduceScatter", { _ = try ranks.reduceScatter(x) }),
      ("ncclAllGather", { _ = try ranks.allGather(part) }), ("ncclBroadcast", { _ = try ranks.broadcast([(x, 0)]) }),
    ] as [(String, () throws -> Void)] {
      let repeats = device.small ? 1 : 20
      try work()
      try ranks.engine.synchronize()
      let began = ContinuousClock.now
      for _ in 0..<repeats { try work() }
      try ranks.engine.synchronize()
      let seconds = (ContinuousClock.now - began) / .seconds(1) / Double(repeats)
      report(
        "\(name), \(Amount.bytes(bytes))", "time",
        Amount.time(seconds) + String(format: ", %.1f GB/s", Double(bytes) / seconds / 1e9))
    }
  }
}
