// A launch graph: work of a stream that was recorded instead of executed, and that one call submits to the stream as a
// whole. It does the same as the calls that it was recorded from, with the same arguments in the same memory.
//
// While a stream is recorded (captured, in the driver's words), nothing can be copied to or from this process, and
// nothing can be waited for. A graph keeps the buffers alive that its work uses. Buffers created during the recording
// are not among them, or no memory could be reused within a graph: their pool has to keep their blocks.

import Synchronization

/// The recording of a stream's work in progress.
struct StreamCapture {
  private static let count = Atomic(0)
  /// A unique number.
  let number = StreamCapture.count.add(1, ordering: .relaxed).newValue
  /// The buffers that the work uses and that existed before.
  var buffers: [ObjectIdentifier: CUDABuffer] = [:]
}

/// Recorded work of a stream.
package final class CUDAGraph: Sendable {
  private let stream: CUDAStream
  private let handle: CUDAHandle
  private let buffers: [CUDABuffer]

  /// The graph captured from a stream, instantiated for launching.
  fileprivate init(_ captured: CUDAHandle, of stream: CUDAStream, using buffers: [CUDABuffer]) throws {
    self.stream = stream
    self.buffers = buffers
    var handle: CUDAHandle = 0
    let instantiated = Result {
      try stream.call("cuGraphInstantiateWithFlags") { $0.graphInstantiate(&handle, captured, 0) }
    }
    // The instance that is launched is a copy.
    let destroyed = Result { try stream.call("cuGraphDestroy") { $0.graphDestroy(captured) } }
    try instantiated.get()
    self.handle = handle
    try destroyed.get()
  }

  deinit {
    try? stream.device.makeCurrent()
    _ = stream.device.driver.functions.graphExecutableDestroy(handle)
  }

  /// Submits the work to its stream.
  ///
  /// - Throws: `CUDAError.failedCall`, `unrecordable`.
  package func launch() throws {
    try stream.refuseToRecord("launching another graph")
    try stream.call("cuGraphLaunch") { $0.graphLaunch(handle, stream.handle) }
  }
}

extension CUDAStream {
  /// Records the work that follows instead of executing it, until `endCapture`.
  ///
  /// - Throws: `CUDAError.failedCall`; `unrecordable` if the stream is already being recorded.
  package func beginCapture() throws {
    try refuseToRecord("recording another graph")
    // CU_STREAM_CAPTURE_MODE_RELAXED: the other modes forbid this thread to allocate memory, which a pool may have to
    // do.
    try call("cuStreamBeginCapture_v2") { $0.captureBegin(handle, 2) }
    capture.withLock { $0 = StreamCapture() }
  }

  /// Ends the recording that `beginCapture` started, whatever has happened since.
  ///
  /// - Throws: `CUDAError.failedCall`.
  package func endCapture() throws -> CUDAGraph {
    let ended = capture.withLock { capture in
      defer { capture = nil }
      return capture
    }
    var graph: CUDAHandle = 0
    try call("cuStreamEndCapture") { $0.captureEnd(handle, &graph) }
    return try CUDAGraph(graph, of: self, using: ended.map { Array($0.buffers.values) } ?? [])
  }

  /// Throws `CUDAError.unrecordable` while work is being recorded.
  func refuseToRecord(_ operation: String) throws {
    if captureNumber != nil { throw CUDAError.unrecordable(operation) }
  }

  /// The number of the recording in progress.
  var captureNumber: Int? { capture.withLock { $0?.number } }

  /// Keeps the buffers that work uses alive as long as the graph that it becomes part of, if any.
  func keep(_ buffers: some Sequence<CUDABuffer>) {
    capture.withLock { capture in
      guard let number = capture?.number else { return }
      for buffer in buffers where buffer.captureNumber != number {
        capture?.buffers[ObjectIdentifier(buffer)] = buffer
      }
    }
  }
}
