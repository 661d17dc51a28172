// What many sampling runs of one shape have in common, recorded so that an engine can repeat it (`RecordingOps`): the
// vectors by which a class modulates the blocks, and the computation from each scale's embedded tokens to its logits.
// What depends on the host (labels, options and random numbers) is computed in every run.

import TensorCore

/// The recorded parts of sampling runs by one sampler, whose weights must not change meanwhile.
///
/// The second run with a given number of images is recorded, and all later ones replay it. Recordings take memory of
/// their own, about as much as a sampling run, for each of the first few numbers of images; runs with any other number
/// are computed directly. So is a run that begins before another has ended.
public final class SamplingRecordings<B: Backend> {
  /// The number of different batch sizes for which runs are recorded.
  public static var capacity: Int { 4 }

  /// The recorded parts of sampling runs of one shape, in the order in which they run.
  struct Parts {
    /// class_emb[label] [B, C] → what is the same at all scales.
    let condition: Recording<B, Condition<B>>
    /// For each scale, tokens [B, p², C] → logits [B, p², V].
    let logits: [Recording<B, Tensor<B>>]
    /// Whether the results of the parts will be overwritten.
    let isRecorded: Bool

    init(_ recorder: B.Recorder?, scales: Int) {
      condition = Recording(recorder)
      logits = (0..<scales).map { _ in Recording(recorder) }
      isRecorded = recorder != nil
    }
  }

  private let recorder: B.Recorder?
  private let scales: Int
  /// A parameter of the recorded transformer, to recognize it by.
  private let sign: Parameter<B>
  private var partsOfRows: [Int: Parts] = [:]
  private var isSampling = false

  /// The recordings of a sampler; initially none.
  public init(_ sampler: Sampler<B>) {
    sign = sampler.transformer.startPosition
    scales = sampler.transformer.configuration.scaleList.count
    // VAR's keys and values grow from scale to scale, so nothing can be replayed.
    recorder =
      sampler.transformer.trajectory.pattern.seesEarlierScales ? nil : B.makeRecorder(on: sign.value.device)
  }

  /// Calls `sample` with the parts of a sampling run with this many rows by a transformer.
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
