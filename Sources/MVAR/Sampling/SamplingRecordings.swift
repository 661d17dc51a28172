// What many sampling runs of one shape have in common, recorded so that an engine can repeat it (`RecordingOps`): the
// vectors that a class steers the blocks with, and from each scale's embedded tokens to its logits. What depends on the
// host, the labels, options and random numbers, is computed for every sampling.

import TensorCore

/// The recorded parts of sampling runs by one sampler, whose weights stay as they are meanwhile.
///
/// The second sampling of a number of images is recorded, all later ones repeat it. Recordings take memory of their own,
/// about as much as a sampling run, for each of the first few numbers of images; of any other number they are computed. So
/// is a sampling run that begins before another has ended.
public final class SamplingRecordings<B: Backend> {
  /// How many different numbers of images are recorded.
  public static var capacity: Int { 4 }

  /// The recorded parts of sampling runs of one shape, in the order in which they are done.
  struct Parts {
    /// class_emb[label] [B, C] → what no scale changes.
    let condition: Recording<B, Condition<B>>
    /// For each scale, tokens [B, p², C] → logits [B, p², V].
    let logits: [Recording<B, Tensor<B>>]
    /// Whether what the parts give will be overwritten.
    let isRecorded: Bool

    init(_ recorder: B.Recorder?, scales: Int) {
      condition = Recording(recorder)
      logits = (0..<scales).map { _ in Recording(recorder) }
      isRecorded = recorder != nil
    }
  }

  private let recorder: B.Recorder?
  private let scales: Int
  /// A parameter of the transformer that was recorded: a sign that it is the same one.
  private let sign: Parameter<B>
  private var partsOfRows: [Int: Parts] = [:]
  private var isSampling = false

  /// Recordings of a sampler; none yet.
  public init(_ sampler: Sampler<B>) {
    sign = sampler.transformer.startPosition
    scales = sampler.transformer.configuration.scaleList.count
    // VAR's keys and values grow from scale to scale, so nothing of it recurs.
    recorder =
      sampler.transformer.trajectory.pattern.seesEarlierScales ? nil : B.makeRecorder(on: sign.value.device)
  }

  /// Calls `sample` with the parts of a sampling run of so many rows by a transformer.
  func withParts<Result>(
    rows: Int, of transformer: MarkovianTransformer<B>, _ sample: (Parts) throws -> Result
  ) rethrows -> Result {
    precondition(transformer.startPosition === sign, "recordings of one transformer were given to another")
    if isSampling || partsOfRows[rows] == nil && partsOfRows.count == Self.capacity {
      return try sample(Parts(nil, scales: scales))
    }
    let parts = partsOfRows[rows] ?? Parts(recorder, scales: scales)
    partsOfRows[rows] = parts
    isSampling = true
    defer { isSampling = false }
    return try sample(parts)
  }
}
