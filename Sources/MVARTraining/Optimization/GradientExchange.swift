// Averages gradients over all ranks while the backward still runs: gradients are collected in the order in which they are
// complete, which is the same on every rank, and whenever a bucket is full another thread adds it up over the ranks. Where
// ranks can add up tensors in the engine's own memory (`TensorCollectives`), a full bucket is work of the engine instead.

import Dispatch
import MVARCollectives
import Synchronization
import TensorCore

/// The gradients of one step on their way to the other ranks.
final class GradientExchange<B: Backend>: Sendable {
  /// A bucket is sent when it has so many elements: 16 MB in single precision.
  static var bucketElements: Int { 1 << 22 }

  private struct Member: Sendable {
    let index: Int
    let gradient: Tensor<B>
  }

  private struct State {
    var waiting: [Member] = []
    var elements = 0
    var done: [(index: Int, gradient: Tensor<B>)] = []
    var failure: (any Error)?
  }

  private let collectives: any Collectives
  private let onDevice: (any TensorCollectives<B>)?
  private let queue = DispatchQueue(label: "mvar.gradients", qos: .userInitiated)
  private let state = Mutex(State())

  init(_ collectives: any Collectives) {
    self.collectives = collectives
    onDevice = collectives as? any TensorCollectives<B>
  }

  /// Takes a complete gradient.
  ///
  /// - Parameter index: of its parameter.
  func add(_ gradient: Tensor<B>, index: Int) {
    let bucket = state.withLock { state -> [Member] in
      state.waiting.append(Member(index: index, gradient: gradient))
      state.elements += gradient.shape.count
      return state.elements >= Self.bucketElements ? Self.take(&state) : []
    }
    send(bucket)
  }

  /// Waits for all buckets.
  ///
  /// - Returns: the averages by parameter.
  /// - Throws: what an exchange threw.
  func finish() throws -> [(index: Int, gradient: Tensor<B>)] {
    send(state.withLock { Self.take(&$0) })
    queue.sync {}
    return try state.withLock { state in
      if let failure = state.failure { throw failure }
      defer { state.done = [] }
      return state.done
    }
  }

  private static func take(_ state: inout State) -> [Member] {
    defer { (state.waiting, state.elements) = ([], 0) }
    return state.waiting
  }

  private func send(_ bucket: [Member]) {
    guard !bucket.isEmpty else { return }
    if let onDevice {
      // An engine is used by one thread, and this returns at once.
      keep { zip(bucket, try onDevice.means(of: bucket.map(\.gradient))).map { ($0.index, $1) } }
    } else {
      queue.async { [self] in keep { try average(bucket) } }
    }
  }

  /// Keeps the averages that `body` returns, or its first error.
  private func keep(_ body: () throws -> [(index: Int, gradient: Tensor<B>)]) {
    guard state.withLock({ $0.failure == nil }) else { return }
    do {
      let averaged = try body()
      state.withLock { $0.done += averaged }
    } catch {
      state.withLock { $0.failure = $0.failure ?? error }
    }
  }

  private func average(_ bucket: [Member]) throws -> [(index: Int, gradient: Tensor<B>)] {
    var values: [B.Scalar] = []
    values.reserveCapacity(bucket.reduce(0) { $0 + $1.gradient.shape.count })
    for member in bucket { values += try member.gradient.scalars() }
    let factor = 1 / B.Scalar(collectives.count)
    for place in values.indices { values[place] *= factor }
    try values.withUnsafeMutableBytes { try collectives.allReduce($0, .of(B.Scalar.self)) }
    var start = 0
    return try bucket.map { member in
      let shape = member.gradient.shape
      defer { start += shape.count }
      return (
        member.index, try Tensor(Array(values[start..<start + shape.count]), shape: shape, on: member.gradient.device)
      )
    }
  }
}
