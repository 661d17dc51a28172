// Recording: the launches of some work become a graph, which one call submits to the device again. Launching costs this
// process time, and a kernel for a few tokens may finish before the next one is launched.
//
// An upload, a download, or a list of constants that is not on the device yet cannot be recorded; an operator that
// needs one makes the engine fail like any other error. So kernels must be loaded and lists uploaded by executing the
// work once before it is recorded.

import TensorCore

extension CUDA: RecordingOps {
  /// A recorder for an engine, whose recordings use memory that no other tensor gets.
  public static func makeRecorder(on engine: CUDAEngine) -> LaunchRecorder? { LaunchRecorder(engine) }

  /// Records the launches of some work. After a failure of the engine nothing is recorded, and nothing will be
  /// executed.
  public static func record(with recorder: LaunchRecorder, _ work: () throws -> Void) rethrows -> RecordedLaunches {
    RecordedLaunches(graph: try recorder.engine.record(in: recorder.memory, work), recorder: recorder)
  }

  /// Copies the input to the place that the graph reads, and launches the graph.
  public static func perform(_ work: RecordedLaunches, on input: Tensor<CUDA>, at place: Tensor<CUDA>) {
    let engine = work.recorder.engine
    engine.attempt {
      let (source, target) = (input.storage, place.storage)
      try engine.stream.copy(
        input.shape.count * MemoryLayout<Float>.stride, from: source.buffer, at: source.byteOffset, to: target.buffer,
        at: target.byteOffset)
      try work.graph?.launch()
    }
  }
}
