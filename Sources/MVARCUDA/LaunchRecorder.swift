// Work of an engine recorded as launch graphs, and the memory that they use.
//
// The graphs of a recorder never run at the same time, since one stream does all the work. So they share the memory for
// intermediate results; it is never used for anything else, because a graph writes to it whenever it is launched.

/// Records work of an engine.
public final class LaunchRecorder: Sendable {
  let engine: CUDAEngine
  let memory: DeviceMemoryPool

  init(_ engine: CUDAEngine) {
    self.engine = engine
    memory = engine.makeRecordingMemory()
  }
}

/// Recorded work of an engine.
public struct RecordedLaunches: Sendable {
  /// Nil after a failure of the engine.
  let graph: CUDAGraph?
  /// The recorder whose memory the graph uses.
  let recorder: LaunchRecorder
}
