// Work that recurs with the same shapes. An engine that launches every single step on a device may record the steps
// once and replay them as a whole; an engine that gains nothing from that just computes. There is no backward: recorded
// work is not on a tape.

/// Recording work and replaying it.
public protocol RecordingOps: BackendTypes {
  /// What makes recordings, and the memory they share; `Never` if the engine gains nothing from them.
  associatedtype Recorder
  /// A recording: the steps of some work.
  associatedtype RecordedWork

  /// What makes recordings on a device; nil if the engine gains nothing from them.
  static func makeRecorder(on device: Device) -> Recorder?

  /// Records the steps of `work` without running them. They read and write the memory of the tensors that `work` uses
  /// and creates; scalar arguments of operators are part of the recording. Copies between host and device cannot be
  /// recorded: they fail as transfers do. The engine must have run the same work before.
  static func record(with recorder: Recorder, _ work: () throws -> Void) rethrows -> RecordedWork

  /// Copies `input` to `place`, a tensor of the same shape that recorded work reads, and replays that work.
  static func perform(_ work: RecordedWork, on input: Tensor<Self>, at place: Tensor<Self>)
}

/// A piece of work that depends on the values of one tensor, and otherwise on nothing that changes: computed the first
/// time, which prepares the engine for it, recorded the second time, and replayed from then on.
///
/// Its results lie in memory that all recordings of a recorder share: they are lost when this or an earlier recording
/// is replayed. So recordings must be replayed in the order in which they were made, and results used along the way.
public final class Recording<B: RecordingOps, Output> {
  private enum Progress {
    case new
    case computed
    case recorded(B.RecordedWork, place: Tensor<B>, output: Output)
  }
  private let recorder: B.Recorder?
  private var progress = Progress.new

  /// A piece of work that has not run yet; without a recorder it is computed every time.
  public init(_ recorder: B.Recorder?) {
    self.recorder = recorder
  }

  /// Runs the work.
  ///
  /// - Parameters:
  ///   - input: of the same shape every time.
  ///   - work: the same every time.
  /// - Returns: what `work` returns.
  public func callAsFunction(_ input: consuming Tensor<B>, _ work: (consuming Tensor<B>) throws -> Output) rethrows
    -> Output
  {
    guard let recorder else { return try work(input) }
    switch progress {
    case .new:
      let output = try work(input)
      progress = .computed
      return output
    case .computed:
      let place = Tensor<B>(repeating: 0, shape: input.shape, on: input.device)
      var output: Output?
      let steps = try B.record(with: recorder) { output = try work(place) }
      B.perform(steps, on: input, at: place)
      progress = .recorded(steps, place: place, output: output!)
      return output!
    case .recorded(let steps, let place, let output):
      precondition(input.shape == place.shape, "a recording for \(place.shape) was given \(input.shape)")
      B.perform(steps, on: input, at: place)
      return output
    }
  }
}
