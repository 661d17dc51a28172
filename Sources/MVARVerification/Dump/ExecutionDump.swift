// Every named value of a model at work, in the order in which it is computed: a file that `golden diff --first` compares
// with that of another implementation, to name the first step at which the two differ.

import Foundation
import MVAR
import MVARCheckpoints
import TensorCore

/// What a dump runs.
public struct DumpRequest: Sendable {
  /// The class of the image, or the null class.
  public var label: Int
  /// The seed of the random numbers.
  public var seed: UInt64
  /// How tokens are sampled.
  public var options: SamplingOptions
  /// The scales whose values are wanted; the decoder runs if the last one is among them.
  public var scales: Range<Int>
  /// Whether the teacher-forced loss is differentiated.
  public var hasGradients: Bool
  /// An image [3·H·W] in −1 … 1 to encode first; its tokens are then those of the teacher forcing.
  public var image: [Float]?
  /// The most bytes of a dump.
  public var limit: Int

  /// A request.
  public init(
    label: Int, seed: UInt64, options: SamplingOptions, scales: Range<Int>, hasGradients: Bool = false,
    image: [Float]? = nil, limit: Int = 1 << 30
  ) {
    self.label = label
    self.seed = seed
    self.options = options
    self.scales = scales
    self.hasGradients = hasGradients
    self.image = image
    self.limit = limit
  }
}

/// Runs a model and collects its values.
public struct ExecutionDump<B: Backend> where B.Device: Sendable {
  private let sampler: Sampler<B>
  private let tokenizer: VQVAE<B>

  /// A dump of two models that belong together.
  ///
  /// - Throws: `ConfigurationError` when they do not.
  public init(_ transformer: MarkovianTransformer<B>, _ tokenizer: VQVAE<B>) throws {
    sampler = try Sampler(transformer, tokenizer.quantizer)
    self.tokenizer = tokenizer
  }

  private var device: B.Device { tokenizer.quantizer.codebook.weight.value.device }

  /// Runs the models.
  ///
  /// - Returns: the tensors, with their order in the metadata.
  /// - Throws: `GoldenDraftError` with the size of a dump above the limit, before anything is computed; `RequestError`
  ///   for a class or scales that the model does not have.
  public func run(_ request: DumpRequest, producer: String) throws -> GoldenDraft {
    try check(request)
    let size = DumpSize(
      transformer: sampler.transformer.configuration, tokenizer: tokenizer.configuration, request,
      bytesPerNumber: MemoryLayout<B.Scalar>.size)
    try size.check(limit: request.limit)
    let collector = DumpCollector<B>()
    let encoded = request.image == nil ? nil : try encode(request, collector)
    let sampled = try sample(request, collector)
    if request.hasGradients { try differentiate(encoded ?? sampled, request, collector) }
    return try collector.draft(producer: "\(producer), \(B.self)")
  }

  private func check(_ request: DumpRequest) throws {
    let configuration = sampler.transformer.configuration
    try configuration.scaleList.check(request.scales)
    guard !request.hasGradients || request.scales.lowerBound == 0 || !configuration.attention.seesEarlierScales else {
      throw GoldenDraftError("the scales of this model see all earlier ones: gradients need scales from 0 on")
    }
  }

  /// The image's values up to its tokens.
  private func encode(_ request: DumpRequest, _ collector: DumpCollector<B>) throws -> ForcedTokens<B> {
    let side = tokenizer.configuration.imageSide
    let values = request.image ?? []
    guard values.count == 3 * side * side else {
      throw GoldenDraftError("the image is not one of \(side) × \(side) pixels, as the tokenizer needs")
    }
    let image = try Tensor<B>(B.Scalar.array(values), shape: [1, 3, side, side], on: device)
    collector.trace.note("image", .tensor(image))
    let quantized = try tokenizer.encode(Variable(image), trace: collector.trace)
    try collector.check()
    return ForcedTokens(tokens: quantized.tokens, sums: quantized.sums.map(\.value))
  }

  /// Samples up to the last scale that is wanted, and decodes the image after the last of all.
  private func sample(
    _ request: DumpRequest, _ collector: DumpCollector<B>
  ) throws -> ForcedTokens<B> {
    var result = ForcedTokens<B>(tokens: [], sums: [])
    let trace = Trace<B> { name, value in
      if Self.isWanted(name, request.scales) { collector.trace.note(name, value) }
    }
    do {
      _ = try sampler.sample(
        labels: [request.label], streams: [RandomStream(seed: request.seed, stream: 0)], request.options, trace: trace
      ) { scale in
        try collector.check()
        result.tokens.append(scale.tokens)
        result.sums.append(scale.sum)
        if scale.scale + 1 == request.scales.upperBound { throw Enough() }
      }
    } catch is Enough {}
    if request.scales.upperBound == tokenizer.configuration.scaleList.count {
      let raw = try tokenizer.decode(Variable(result.sums.last!), trace: collector.trace).value
      try collector.add("image01", raw.scalars().map { (min(max($0, -1), 1) + 1) / 2 }, shape: raw.shape.dimensions)
    }
    try collector.check()
    return result
  }

  /// Whether a value belongs to none of the scales or to one that is wanted.
  private static func isWanted(_ name: String, _ scales: Range<Int>) -> Bool {
    guard let match = name.prefixMatch(of: #/scale\.(\d+)\./#), let scale = Int(match.1) else { return true }
    return scales.contains(scale)
  }

  /// Teacher forcing of the wanted scales, segment by segment: values, loss, and gradients in the order of the backward.
  private func differentiate(
    _ forced: ForcedTokens<B>, _ request: DumpRequest, _ collector: DumpCollector<B>
  ) throws {
    let model = sampler.transformer
    let batch = ForcedBatch(
      labels: try Indices<B>([request.label], shape: [1], on: device), tokens: try forced.tokensOfAll(in: model),
      inputs: try forced.inputs(tokenizer.quantizer, scales: request.scales.upperBound))
    for (index, segment) in model.trajectory.segments.enumerated() {
      let scales = segment.clamped(to: request.scales)
      if scales.isEmpty { continue }
      let part = collector.trace.inside("segment.\(index)")
      let trace = Trace<B> { name, value in
        if case .gradient = value { part.note("grad.\(name)", value) } else { part.note(name, value) }
      }
      let (_, loss, gradients) = try batch.pass(model, scales, trace: trace)
      try collector.add("segment.\(index).loss", [B.Scalar(loss)], shape: [1])
      for parameter in model.parameters {
        let key = CheckpointNames.key(of: parameter.name, in: .transformer)
        let value =
          gradients[parameter] ?? Tensor(repeating: 0, shape: parameter.value.shape, on: device)
        part.note("grad.\(key)", .gradient(value))
      }
      try collector.check()
    }
  }
}

/// Ends sampling after the last scale that is wanted.
private struct Enough: Error {}

/// The tokens of one image, and f̂ after each scale.
private struct ForcedTokens<B: Backend> {
  var tokens: [Indices<B>]
  var sums: [Tensor<B>]

  /// The tokens of all L positions; those of scales that were not sampled are 0.
  func tokensOfAll(in model: MarkovianTransformer<B>) throws -> [Int] {
    let known = try tokens.flatMap { try $0.values() }
    return known + [Int](repeating: 0, count: model.configuration.scaleList.length - known.count)
  }

  /// x_1 … x_(S−1) [1, L − 1, Z]; those of scales that are not wanted are zeros.
  func inputs(_ quantizer: ResidualQuantizer<B>, scales: Int) throws -> Tensor<B> {
    let (scaleList, device) = (quantizer.configuration.scaleList, sums[0].device)
    let width = quantizer.configuration.codeWidth
    let known = try (1..<max(scales, 1)).map { try quantizer.input(of: $0, sum: Variable(sums[$0 - 1])).value }
    let missing = scaleList.length - 1 - known.reduce(0) { $0 + $1.shape[1] }
    let zeros = Tensor<B>(repeating: 0, shape: [1, missing, width], on: device)
    return B.concatenate(known + (missing > 0 ? [zeros] : []), axis: 1)
  }
}
