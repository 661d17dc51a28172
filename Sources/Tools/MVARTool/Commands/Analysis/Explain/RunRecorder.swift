// Runs the models once and keeps what the page shows. It computes nothing of its own: an image is sampled by `Sampler`,
// whose trace reports logits, queries and keys; a photograph is encoded, and the transformer is given its tokens scale by
// scale, with an observer for queries and keys.

import MVAR
import MVARMedia
import TensorCore

/// Records a run.
struct RunRecorder<B: Backend> where B.Device: EngineDevice {
  let sampler: Sampler<B>
  let tokenizer: VQVAE<B>
  let device: B.Device
  /// The blocks and heads whose attention is kept.
  let selection: AttentionSelection
  /// How pictures are rounded.
  let images: ImageOptions
  let progress: Progress
  /// The models' files, for an error.
  let files: String

  private var transformer: MarkovianTransformer<B> { sampler.transformer }
  private var configuration: TransformerConfiguration { transformer.configuration }
  private var scaleList: ScaleList { configuration.scaleList }

  // MARK: An image that is sampled

  /// Samples the first image of a seed, as `mvar sample` does.
  func sample(label: Int, _ options: SamplingOptions, seed: UInt64) throws -> ExplainedRun {
    let recording = Recording<B>(ExplainedRun(configuration, label: label, options, selection))
    let isGuided = options.guidance != 1
    let trace = Trace<B> { name, value in
      if case .tensor(let tensor) = value { recording.attempt { try take(tensor, named: name, into: recording) } }
    }
    // Without guidance the sampler needs no logits of the null class, which the page shows nevertheless.
    let isMissing = !isGuided && label != configuration.classes
    let null = isMissing ? try transformer.condition(labels: [configuration.classes]) : nil
    var input: Tensor<B>?
    _ = try sampler.sample(
      labels: [label], streams: [RandomStream(seed: seed, stream: 0)], options, trace: trace
    ) { sampled in
      let scale = sampled.scale
      try recording.rethrow()
      if let null { recording.run.null += try logits(null, input, scale: scale) }
      recording.run.tokens += try sampled.tokens.values()
      input = try keep(sampled.sum, after: scale, in: recording)
      progress.report("sampling: scale \(scale + 1) of \(scaleList.count)")
    }
    return recording.run
  }

  /// Keeps a value that the sampler reports: logits, queries and keys.
  private func take(_ tensor: Tensor<B>, named name: String, into recording: Recording<B>) throws {
    let parts = name.split(separator: ".")
    guard parts.count >= 3, parts[0] == "scale", let scale = Int(parts[1]) else { return }
    if parts.count == 3, parts[2] == "logits" {
      // [1 or 2, p², V]: given the class, and with guidance also given none.
      let values = try floats(tensor)
      let count = values.count / tensor.shape[0]
      recording.run.conditional += values[..<count]
      if tensor.shape[0] == 2 { recording.run.null += values[count...] }
    } else if parts.count == 5, parts[2] == "blocks", let block = Int(parts[3]), selection.blocks.contains(block) {
      if parts[4] == "q" { recording.queries = tensor }
      if parts[4] == "k", let queries = recording.queries {
        try keepAttention(queries: queries, keys: tensor, block: block, scale: scale, in: recording)
      }
    }
  }

  // MARK: A photograph

  /// What the model would predict at each token of a photograph, given the tokens of the coarser scales.
  ///
  /// - Parameter image: of the tokenizer's size.
  func force(_ image: PixelImage, label: Int, _ options: SamplingOptions) throws -> ExplainedRun {
    let features = try tokenizer.features(image.tensor(on: device))
    guard try B.isFinite(features.value) else {
      throw Failure(
        "\(files): the tokenizer's output is not made of finite numbers: its weights are damaged or do not fit")
    }
    let quantized = tokenizer.quantizer.encode(features)
    let recording = Recording<B>(ExplainedRun(configuration, label: label, options, selection))
    let labels = label == configuration.classes ? [label] : [label, configuration.classes]
    let condition = try transformer.condition(labels: labels)
    var input: Tensor<B>?
    for scale in 0..<scaleList.count {
      let values = try logits(condition, input, scale: scale, rows: labels.count) { block, heads in
        guard selection.blocks.contains(block) else { return }
        recording.attempt {
          try keepAttention(
            queries: heads.queries.value, keys: heads.keys.value, block: block, scale: scale, in: recording)
        }
      }
      try recording.rethrow()
      let count = values.count / labels.count
      recording.run.conditional += values[..<count]
      recording.run.null += values[count...]
      recording.run.tokens += try quantized.tokens[scale].values()
      input = try keep(quantized.sums[scale].value, after: scale, in: recording)
      progress.report("predicting: scale \(scale + 1) of \(scaleList.count)")
    }
    return recording.run
  }

  // MARK: Both

  /// Logits of one scale, one row after another.
  ///
  /// - Parameters:
  ///   - input: x_s [1, p², Z], the same in all rows; nil for scale 0.
  private func logits(
    _ condition: Condition<B>, _ input: Tensor<B>?, scale: Int, rows: Int = 1,
    observe: ((Int, VariableHeads<B>) -> Void)? = nil
  ) throws -> [Float] {
    let inputs = input.map { input in
      Variable.concatenated([Variable<B>](repeating: Variable(input), count: rows), axis: 0)
    }
    let logits = try transformer.logits(condition, inputs: inputs, scales: scale..<scale + 1, observe: observe).value
    guard try B.isFinite(logits) else {
      throw NotANumberError(
        description: "the logits of scale \(scale) are not finite numbers: the weights are damaged or do not fit")
    }
    return try floats(logits)
  }

  /// Keeps f̂ and its image.
  ///
  /// - Returns: the next scale's input [1, p², Z]; nil after the last.
  private func keep(_ sum: Tensor<B>, after scale: Int, in recording: Recording<B>) throws -> Tensor<B>? {
    recording.run.sums.append(try floats(sum))
    let decoded = try tokenizer.decode(Variable(sum)).value
    recording.run.images.append(try images.image(decoded, by: files))
    guard scale + 1 < scaleList.count else { return nil }
    let input = try tokenizer.quantizer.input(of: scale + 1, sum: Variable(sum)).value
    recording.run.inputs += try floats(input)
    return input
  }

  private func keepAttention(
    queries: Tensor<B>, keys: Tensor<B>, block: Int, scale: Int, in recording: Recording<B>
  ) throws {
    try transformer.forEachAttentionRow(
      queries: queries, keys: keys, block: block, scale: scale, heads: selection.heads
    ) { recording.run.attention += AttentionCode.codes($0) }
  }

  private func floats(_ tensor: Tensor<B>) throws -> [Float] { try tensor.scalars().map { Float($0) } }
}

/// A run while it is recorded; a class, since traces and observers outlive the call that makes them and cannot throw.
private final class Recording<B: Backend> {
  var run: ExplainedRun
  /// The queries whose keys are next to come.
  var queries: Tensor<B>?
  private var failure: (any Error)?

  init(_ run: ExplainedRun) { self.run = run }

  /// Runs `body`, and keeps its first error.
  func attempt(_ body: () throws -> Void) {
    guard failure == nil else { return }
    do { try body() } catch { failure = error }
  }

  /// Throws the error that was kept.
  func rethrow() throws { if let failure { throw failure } }
}
