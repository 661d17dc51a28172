// Images from classes for programs that have other things to do meanwhile, such as servers and apps: a loaded pair of models and
// a queue of its own on which they work, one batch at a time. Requests that overlap take turns, batch by batch; what an
// image looks like depends on its seed and number alone, never on other requests.

import Dispatch
import Foundation
import MVAR
import MVARCheckpoints
import MVARMedia
import TensorCore

/// Generates, encodes and decodes images.
///
/// ```swift
/// let generator = try ImageGenerator.shipped()
/// for try await image in try generator.images(of: ["flag", "clock"], count: 4, seed: 1) {
///   try image.pixels.writePNG(to: "\(image.number).png")
/// }
/// ```
public final class ImageGenerator: Sendable {
  /// The classes that can be asked for.
  public let classes: ClassNames
  /// The settings of requests that name none.
  public let settings: SamplingValues

  private let models: any LoadedModels
  private let queue = DispatchQueue(label: "MVARPipeline.ImageGenerator", qos: .userInitiated)

  /// A generator of models on any engine.
  ///
  /// - Parameters:
  ///   - transformer: a checkpoint file, or seeded weights.
  ///   - tokenizer: the same.
  ///   - hints: what the files do not tell.
  ///   - classNames: from class 0; nil for those in the transformer's file, if it has any.
  ///   - settings: of requests that name none.
  ///   - engine: what computes.
  ///   - device: where its tensors are.
  /// - Throws: what reading the files throws, or `ConfigurationError` when the models do not belong together.
  public init<B: Backend>(
    transformer: ModelSource, tokenizer: ModelSource, hints: ModelHints = ModelHints(), classNames: [String]? = nil,
    settings: SamplingValues = .published, engine: B.Type, on device: B.Device
  ) throws {
    models = try EngineModels<B>(transformer, tokenizer, hints, on: device)
    var names = classNames
    if names == nil, case .file(let path, let choice) = transformer {
      names = try ModelMetadata.classNames(of: CheckpointWeights(path: path, .transformer, choice))
    }
    classes = ClassNames(names, count: models.transformerConfiguration.classes)
    self.settings = settings
  }

  /// A generator of models on this machine's processors.
  ///
  /// - Parameter weights: how the weights of linear layers are kept: in single precision, or in short numbers, which is
  ///   faster and takes less memory, and samples slightly other images.
  /// - Throws: as the initializer for any engine.
  public convenience init(
    transformer: ModelSource, tokenizer: ModelSource, hints: ModelHints = ModelHints(), classNames: [String]? = nil,
    settings: SamplingValues = .published, weights: WeightFormat = .float32
  ) throws {
    try self.init(
      transformer: transformer, tokenizer: tokenizer, hints: hints, classNames: classNames, settings: settings,
      engine: CPU<Float>.self, on: HostDevice(weights: weights))
  }

  /// A generator of the small model that ships with the package.
  ///
  /// - Throws: `PipelineError.noShippedModel` when its files are not there.
  public static func shipped() throws -> ImageGenerator {
    try shipped(engine: CPU<Float>.self, on: HostDevice())
  }

  /// A generator of the small model that ships with the package, on any engine.
  ///
  /// - Throws: `PipelineError.noShippedModel` when its files are not there.
  public static func shipped<B: Backend>(engine: B.Type, on device: B.Device) throws -> ImageGenerator {
    guard let transformer = ShippedModel.transformer, let tokenizer = ShippedModel.tokenizer else {
      throw PipelineError.noShippedModel
    }
    return try ImageGenerator(
      transformer: .file(transformer), tokenizer: .file(tokenizer), settings: ShippedModel.sampling, engine: engine,
      on: device)
  }

  /// The side of the images in pixels.
  public var imageSide: Int { models.tokenizerConfiguration.imageSide }
  /// The sides of the token maps, coarse to fine.
  public var scaleList: ScaleList { models.transformerConfiguration.scaleList }

  // MARK: Sampling

  /// Images of some classes, in the order of the classes, `count` of each.
  ///
  /// Nothing is computed before the first image is asked for, and never more than a batch ahead of the caller. A task that is
  /// canceled gets a `CancellationError` within one scale, and at once while other requests have their turn.
  ///
  /// - Parameters:
  ///   - names: classes by number or name; empty for every class.
  ///   - count: how many images of each class.
  ///   - seed: the same seed gives the same images.
  ///   - first: the number of the first image among those of the seed.
  ///   - settings: guidance and filters; nil for the generator's.
  ///   - batch: how many images are sampled at once, which changes nothing but time and memory; nil for as many as memory
  ///     suggests, at most 8.
  ///   - progress: called after each scale of each batch, on the generator's thread.
  /// - Throws: `PipelineError` for an unknown class or an unusable number, `ConfigurationError` for unusable settings.
  public func images(
    of names: [String] = [], count: Int = 1, seed: UInt64 = 0, first: Int = 0, settings: SamplingValues? = nil,
    batch: Int? = nil, progress: (@Sendable (SamplingProgress) -> Void)? = nil
  ) throws -> GeneratedImages {
    guard (1...1_000_000).contains(count) else {
      throw PipelineError.unusableRequest("\(count) images of a class make no sense; use 1 to 1000000")
    }
    let labels = try names.isEmpty ? Array(0..<classes.count) : names.map { try classes.label($0) }
    return try images(
      labels: labels.flatMap { [Int](repeating: $0, count: count) }, seed: seed, first: first, settings: settings,
      batch: batch, progress: progress)
  }

  /// Images of the given labels; see ``images(of:count:seed:first:settings:batch:progress:)``.
  public func images(
    labels: [Int], seed: UInt64 = 0, first: Int = 0, settings: SamplingValues? = nil, batch: Int? = nil,
    progress: (@Sendable (SamplingProgress) -> Void)? = nil
  ) throws -> GeneratedImages {
    if let wrong = labels.first(where: { !(0..<classes.count).contains($0) }) {
      throw PipelineError.unknownClass("\(wrong)", reason: "this model has the classes 0 … \(classes.count - 1)")
    }
    return try request(
      labels: labels, seed: seed, first: first, settings: settings, kept: nil, batch: batch, progress: progress)
  }

  /// A request, its numbers checked.
  private func request(
    labels: [Int], seed: UInt64, first: Int, settings: SamplingValues?, kept: [[Int?]]?, batch: Int?,
    progress: (@Sendable (SamplingProgress) -> Void)?
  ) throws -> GeneratedImages {
    guard (0...(1 << 53)).contains(first) else {
      throw PipelineError.unusableRequest("the first image is number \(first); use 0 to 2⁵³")
    }
    guard batch.map({ (1...1024).contains($0) }) ?? true else {
      throw PipelineError.unusableRequest("a batch of \(batch ?? 0) makes no sense; use 1 to 1024")
    }
    return GeneratedImages(
      generator: self, labels: labels, seed: seed, first: first, options: try (settings ?? self.settings).options(),
      kept: kept, batch: batch ?? TransformerCost(models.transformerConfiguration).suggestedBatch(upTo: 8),
      progress: progress)
  }

  // MARK: Editing

  /// Images that are those of an edit outside its mask and drawn anew inside, `count` of them.
  ///
  /// ```swift
  /// let edit = try ImageEdit(photo, mask: mask, side: generator.imageSide)
  /// for try await image in try await generator.images(editing: edit, as: "flag", count: 4) {
  ///   try edit.pasted(into: image.pixels).writePNG(to: "\(image.number).png")
  /// }
  /// ```
  ///
  /// The image is encoded by this call. Everything else is as in ``images(of:count:seed:first:settings:batch:progress:)``;
  /// with every token redrawn, so are the images.
  ///
  /// - Parameters:
  ///   - edit: the image and its mask, of ``imageSide``.
  ///   - name: the class by number or name; nil for none.
  ///   - count: how many images.
  ///   - threshold: the least share of redrawn pixels in the cell of a redrawn token.
  ///   - keptScales: the number of coarse scales that are kept everywhere.
  /// - Throws: `PipelineError` for an unknown class or an unusable number, or when the tokenizer's weights are damaged;
  ///   `RequestError` when the edit does not fit the model; `ConfigurationError` for unusable settings.
  public func images(
    editing edit: ImageEdit, as name: String? = nil, count: Int = 1, threshold: Double = EditMask.defaultThreshold,
    keptScales: Int = 0, seed: UInt64 = 0, first: Int = 0, settings: SamplingValues? = nil, batch: Int? = nil,
    progress: (@Sendable (SamplingProgress) -> Void)? = nil
  ) async throws -> GeneratedImages {
    guard (1...1_000_000).contains(count) else {
      throw PipelineError.unusableRequest("\(count) images make no sense; use 1 to 1000000")
    }
    let label = try name.map { try classes.label($0) } ?? classes.count
    let mask = try edit.tokens(scaleList, threshold: threshold, keptScales: keptScales)
    let tokens = try await encode(edit.image)
    return try request(
      labels: [Int](repeating: label, count: count), seed: seed, first: first, settings: settings,
      kept: mask.kept(of: tokens), batch: batch, progress: progress)
  }

  /// Samples one batch of a request.
  func sample(_ request: GeneratedImages, _ range: Range<Int>) async throws -> [GeneratedImage] {
    try await perform { models, check in
      let scales = models.transformerConfiguration.scaleList.count
      var done = 0
      let sampled = try models.sample(
        labels: Array(request.labels[range]),
        numbers: request.first + range.lowerBound..<request.first + range.upperBound,
        seed: request.seed, request.options, keeping: request.kept
      ) { scale in
        try check()
        guard done < scales else { return }
        done += 1
        request.progress?(
          SamplingProgress(images: range, imageCount: request.labels.count, scale: scale, scaleCount: scales))
      }
      return zip(range, sampled).map { index, sampled in
        GeneratedImage(
          pixels: sampled.image, label: request.labels[index], className: self.classes[request.labels[index]],
          number: request.first + index, seed: request.seed, tokens: sampled.tokens)
      }
    }
  }

  // MARK: Encoding and decoding

  /// The tokens of each scale of an image, whose middle square is brought to ``imageSide`` first.
  ///
  /// - Throws: `PipelineError.notFinite` when the tokenizer's weights are damaged.
  public func encode(_ image: PixelImage) async throws -> [[Int]] {
    try await perform { models, check in
      try check()
      return try models.encode(try image.centerCrop(models.tokenizerConfiguration.imageSide))
    }
  }

  /// The image of the tokens of each scale, p_s² of them in row-major order.
  ///
  /// - Throws: `PipelineError.unusableTokens` when their numbers do not fit the tokenizer.
  public func decode(_ tokens: [[Int]]) async throws -> PixelImage {
    let configuration = models.tokenizerConfiguration
    let counts = configuration.scaleList.sides.map { $0 * $0 }
    guard tokens.map(\.count) == counts else {
      throw PipelineError.unusableTokens(
        "the scales have \(tokens.map(\.count)) tokens, and this tokenizer needs \(counts)")
    }
    if let wrong = tokens.joined().first(where: { !(0..<configuration.vocabulary).contains($0) }) {
      throw PipelineError.unusableTokens(
        "token \(wrong) does not exist; this tokenizer has the tokens 0 … \(configuration.vocabulary - 1)")
    }
    return try await perform { models, check in
      try check()
      return try models.decode(tokens)
    }
  }

  // MARK: The queue

  /// Does work on the generator's queue, so that the caller's thread is free meanwhile. A task that is canceled before its turn
  /// is told at once; `check` throws when it is canceled later.
  private func perform<Value: Sendable>(
    _ work: @escaping @Sendable (any LoadedModels, () throws -> Void) throws -> Value
  ) async throws -> Value {
    let queued = QueuedWork<Value>()
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        guard queued.wait(continuation) else { return }
        queue.async { [models] in queued.run { check in try work(models, check) } }
      }
    } onCancel: {
      queued.cancel()
    }
  }
}
