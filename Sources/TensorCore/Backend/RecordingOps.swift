// Work that recurs with the same shapes. An engine whose device is told every single step may write the steps down once
// and have them done again as a whole; an engine that has nothing to gain by that just computes. There is no backward:
// what is recorded is on no tape.

/// Writing work down, and doing it again.
public protocol RecordingOps: BackendTypes {
  /// What makes recordings, and the memory they share; `Never` where the engine has nothing to gain by them.
  associatedtype Recorder
  /// The steps of some work.
  associatedtype RecordedWork

  /// What makes recordings on a device; nil where the engine has nothing to gain by them.
  static func makeRecorder(on device: Device) -> Recorder?

  /// Writes down the steps of `work` without doing them. They read and write the memory of the tensors that `work` uses
  /// and makes; numbers that operators are given are part of them. Copies between the host and the device cannot be:
  /// they fail as transfers do. The engine must have done the same work before.
  static func record(with recorder: Recorder, _ work: () throws -> Void) rethrows -> RecordedWork

  /// Copies `input` over `place`, a tensor of the same shape that recorded work reads, and does that work.
  static func perform(_ work: RecordedWork, on input: Tensor<Self>, at place: Tensor<Self>)
}

/// A piece of work that depends on the numbers of one tensor, and otherwise on nothing that changes: computed when it
/// is first done, which makes the engine ready for it, recorded the second time, and repeated from then on.
///
/// What it gives lies in memory that all recordings of a recorder share: it is lost when this or an earlier one is done
/// again. So they must be done in the order in which they were recorded, and results used up on the way.
public final class Recording<B: RecordingOps, Output> {
  private enum Progress {
    case new
    case computed
    case recorded(B.RecordedWork, place: Tensor<B>, output: Output)
  }
  private let recorder: B.Recorder?
  private var progress = Progress.new

  /// A piece of work that nobody has done yet; without a recorder it is computed every time.
  public init(_ recorder: B.Recorder?) {
    self.recorder = recorder
  }

  /// Does the work.
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
