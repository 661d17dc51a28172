// `mvar attention`: where the queries of a trained model look, on real images with teacher forcing: at which scales (a
// map of query scale × key scale, and the finest queries), and how far within their own.
//
// A scale with many tokens gets a large share from attention that prefers nothing, so every share stands beside the even
// one, and the map shows their ratio. `--attention var` lets the same weights see the earlier scales as well.
// AttentionStatistics.swift defines what is averaged.

import ArgumentParser
import Foundation
import MVAR
import MVARFiles
import MVARMedia
import MVARPipeline
import MVARPlots
import MVARTraining
import TensorCore

struct AttentionMap: EngineCommand {
  static let precisions = CPUPrecisions.shortWeights

  static let configuration = CommandConfiguration(
    commandName: "attention",
    abstract: "Show what the queries of a trained model attend to: which scales, and how far away.",
    discussion: """
      Mean attention weights over heads, blocks and images, as a table and a figure. Behind each share, in brackets, is \
      what it would be if every key had the same weight. With the small model that ships with the package and its images, \
      and the same weights with the attention of VAR:

        mvar attention -o attention.svg
        mvar attention --attention var -o attention-var.svg
      """)

  @Option(
    parsing: .unconditional,
    help: "The transformer, a checkpoint file (default: the small model that ships with the package).")
  var model: String?

  @Option(parsing: .unconditional, help: "The tokenizer (default: the model's file if it holds one).")
  var tokenizer: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The folder with the images to use.",
      discussion: """
        Same layout as for mvar evaluate; if any images are held out, only those are used. Default: the images that \
        ship with the package.
        """))
  var data: String?

  @OptionGroup var dataset: DatasetOptions

  @Option(parsing: .unconditional, help: "How many images, taken evenly from all classes.")
  var count = 32

  @Option(name: [.short, .long], parsing: .unconditional, help: "The figure to write (.svg).")
  var output: String

  @OptionGroup(title: "Settings a checkpoint may lack") var weights: WeightsOptions
  @OptionGroup(title: "Settings a checkpoint may lack") var tokenizerWeights: TokenizerWeightsOptions
  @OptionGroup(title: "Settings a checkpoint may lack") var hints: HintOptions
  @OptionGroup(title: "Engine") var engine: EngineOptions

  func validate() throws {
    try checkIsFile(model, option: "--model")
    try checkIsFile(tokenizer, option: "--tokenizer")
    if let data, data.isEmpty { throw ValidationError("--data is empty; name a folder") }
    try Arguments.check("--count", count, in: 1...100_000)
  }

  /// Where models and images come from.
  private struct Sources {
    let model: String
    /// The tokenizer's file, which may be the model's.
    let tokenizer: String
    let data: String
  }

  /// The files named by options, and the shipped model and images for the rest.
  private func sources() throws -> Sources {
    let shipped = ShippedModel.transformer
    guard let model = model ?? shipped else { throw Failure(ShippedModel.absence) }
    let ownTokenizer = self.model == nil ? ShippedModel.tokenizer : nil
    guard let data = data ?? shipped.map({ ($0 as NSString).deletingLastPathComponent }) else {
      throw Failure("no images are named, and the shipped ones (Fixtures/emoji) were not found; use --data")
    }
    return Sources(model: model, tokenizer: tokenizer ?? ownTokenizer ?? model, data: data)
  }

  func checkOutputs() throws {
    let sources = try sources()
    try OutputFile.check(output, endings: [".svg"], keeping: [sources.model, sources.tokenizer, sources.data])
  }

  func run<B: Backend, D: EngineDevice>(on engine: B.Type, device: D) throws where B.Device == D {
    let statistics = try statistics(sources(), as: engine, on: device)
    try AttentionFigure.figure(statistics).write(to: output)
    try Table.print(AttentionFigure.table(statistics))
    try Console.print(output)
  }

  /// The statistics of the forward passes.
  private func statistics<B: Backend>(_ sources: Sources, as engine: B.Type, on device: B.Device) throws
    -> AttentionStatistics where B.Device: EngineDevice
  {
    let (transformer, codes): (MarkovianTransformer<B>, VQVAE<B>) = try models(sources, on: device)
    let progress = Progress()
    defer { progress.finish() }
    let (examples, labels) = try images(
      sources, codes.configuration.imageSide, transformer.configuration, progress)
    let cost = TransformerCost(transformer.configuration)
    // All scales at once; nothing is kept for a backward pass.
    let bytes = cost.forwardBytes(batch: 1)
    let batch = min(max(Int(0x1p30 / bytes), 1), 8)
    try device.checkMemory(bytes, for: "an image's attention")
    var statistics = AttentionStatistics(transformer.trajectory)
    for start in stride(from: 0, to: examples.count, by: batch) {
      let range = start..<min(start + batch, examples.count)
      progress.report("looking at image \(range.lowerBound + 1) of \(examples.count)")
      let inputs = try inputs(Array(examples[range]), codes, from: sources, on: device)  // [B, L − 1, Z]
      try statistics.add(transformer, labels: Array(labels[range]), inputs: inputs)
    }
    guard statistics.isFinite else {
      throw Failure(
        "\(sources.model): the attention weights are not finite numbers: the weights are damaged or do not fit")
    }
    return statistics
  }

  /// Loads both models; the tokenizer gets the transformer's list of scales unless one was given.
  private func models<B: Backend>(_ sources: Sources, on device: B.Device) throws -> (
    MarkovianTransformer<B>, VQVAE<B>
  ) where B.Device: EngineDevice {
    let (model, tokenizer) = (sources.model, sources.tokenizer)
    var hints = try hints.hints()
    let transformer: MarkovianTransformer<B> = try naming(model) {
      try ModelSource.file(model, weights.choice()).transformer(hints, on: device)
    }
    hints.sides = hints.sides ?? transformer.configuration.scaleList.sides
    if tokenizer == model, try !CheckpointWeights.exist(of: .tokenizer, in: model) {
      throw Failure("\(model): holds no tokenizer; name one with --tokenizer")
    }
    let codes: VQVAE<B> = try naming(tokenizer) {
      try ModelSource.file(tokenizer, tokenizerWeights.choice()).tokenizer(hints, parts: [.encoder], on: device)
    }
    try codes.configuration.checkSize(on: device)
    // Creating a sampler checks that the pair belongs together.
    _ = try naming("\(model) with \(tokenizer)") { try Sampler(transformer, codes.quantizer) }
    return (transformer, codes)
  }

  /// The images to use, and the label of each.
  private func images(
    _ sources: Sources, _ side: Int, _ configuration: TransformerConfiguration, _ progress: Progress
  ) throws -> (examples: [LabeledImages.Example], labels: [Int]) {
    let images = try dataset.images(in: sources.data, side: side, progress)
    let all = images.validation.isEmpty ? images.training : images.validation
    let count = min(self.count, all.count)
    let examples = (0..<count).map { all[$0 * all.count / count] }
    let names =
      try ModelMetadata.classNames(of: CheckpointWeights(path: sources.model, .transformer, weights.choice()))
      ?? images.classNames
    let areSame = names.elementsEqual(images.classNames) { $0.isExactly($1) }
    if images.classNames.count == configuration.classes, areSame {
      return (examples, examples.map(\.label))
    }
    progress.finish()
    Console.note("\(sources.data): its classes are not those of the model, so the images are shown without a class")
    return (examples, examples.map { _ in configuration.classes })
  }

  /// The transformer's inputs for images: x_1 … x_(S−1) [B, L − 1, Z].
  private func inputs<B: Backend>(
    _ examples: [LabeledImages.Example], _ codes: VQVAE<B>, from sources: Sources, on device: B.Device
  ) throws -> Tensor<B> {
    let side = codes.configuration.imageSide
    let values = examples.flatMap { $0.image.planarFloats() }
    let images = try Tensor<B>(B.Scalar.array(values), shape: [examples.count, 3, side, side], on: device)
    let features = try codes.features(Variable(images))  // [B, Z, P, P]
    guard try B.isFinite(features.value) else {
      throw Failure(
        "\(sources.tokenizer): the tokenizer's output is not made of finite numbers: its weights are damaged or do not fit"
      )
    }
    return codes.quantizer.inputs(sums: codes.quantizer.encode(features).sums).value
  }
}

/// Statistics as a figure and as a table.
private enum AttentionFigure {
  /// All panels: that of the finest queries' scales only where they see other scales than their own.
  static func figure(_ statistics: AttentionStatistics) -> Figure {
    let (map, distances) = (scales(statistics), distances(statistics))
    let seesEarlier = statistics.trajectory.pattern.seesEarlierScales
    return Figure(
      title: "Where queries look, attention pattern \(statistics.trajectory.pattern.rawValue)",
      rows: seesEarlier
        ? [[.heatMap(map), .lines(shares(statistics))], [.lines(distances)]] : [[.heatMap(map), .lines(distances)]])
  }

  /// Query scale × key scale: the share of attention as a multiple of the even share.
  private static func scales(_ statistics: AttentionStatistics) -> HeatMap {
    let trajectory = statistics.trajectory
    let indices = 0..<trajectory.scaleList.count
    let values = indices.map { query -> [Double?] in
      indices.map { key in
        trajectory.visibleScales(from: query).contains(key)
          ? statistics.share(from: query, on: key) / statistics.evenShare(from: query, on: key) : nil
      }
    }
    let largest = values.joined().compactMap { $0 }.max() ?? 0
    var map = HeatMap(
      title: "\(trajectory.pattern.rawValue): attention by scale", xLabel: "side of the keys' scale, tokens",
      yLabel: "side of the queries' scale, tokens", valueLabel: "share of attention / even share (1: no preference)",
      values: values, range: 0...max(2, largest))
    let names = trajectory.scaleList.sides.map(String.init)
    map.names = (names, names)
    map.texts = values.map { row in row.map { value in value.map { String(format: "%.2f", $0) } ?? "" } }
    (map.width, map.height) = (490, 400)
    return map
  }

  /// How the attention of the finest queries is divided among the scales, and how it would be with equal weights.
  private static func shares(_ statistics: AttentionStatistics) -> LinePlot {
    let (trajectory, scaleList) = (statistics.trajectory, statistics.trajectory.scaleList)
    let query = scaleList.count - 1
    let keys = trajectory.visibleScales(from: query)
    let measured = keys.map { (x: Double($0), y: 100 * statistics.share(from: query, on: $0)) }
    let even = keys.map { (x: Double($0), y: 100 * statistics.evenShare(from: query, on: $0)) }
    let side = scaleList.sides[query]
    var baseline = LinePlot.Series("even: every key alike", even, color: LinePlot.palette[6], lineWidth: 1.5)
    baseline.isDashed = true
    var plot = LinePlot(
      title: "\(trajectory.pattern.rawValue): queries of the \(side) × \(side) scale",
      xLabel: "side of the keys' scale, tokens", yLabel: "mean share of attention, %",
      series: [baseline, LinePlot.Series("measured", measured, color: LinePlot.palette[0])])
    plot.xTicks = keys.map { (Double($0), "\(scaleList.sides[$0])") }
    plot.startsAtZero = true
    (plot.width, plot.height) = (470, 400)
    return plot
  }

  /// The weight of a key against its distance, for the finest scales.
  private static func distances(_ statistics: AttentionStatistics) -> LinePlot {
    let sides = statistics.trajectory.scaleList.sides
    let curves = sides.indices.suffix(4).filter { sides[$0] > 1 }.map { scale in
      LinePlot.Series(
        "\(sides[scale]) × \(sides[scale])",
        (0..<sides[scale]).compactMap { distance in
          statistics.relativeWeight(of: scale, at: distance).map { (x: Double(distance), y: $0) }
        })
    }
    var plot = LinePlot(
      title: "\(statistics.trajectory.pattern.rawValue): keys of the queries' own scale, by distance",
      xLabel: "distance in tokens", yLabel: "weight, multiple of the mean", series: curves)
    plot.baselines = [LinePlot.Baseline(y: 1, name: "even: 1")]
    plot.yScale = .logarithmic
    (plot.width, plot.height) = (statistics.trajectory.pattern.seesEarlierScales ? 970 : 470, 400)
    return plot
  }

  /// A row for each query scale; behind each share, in brackets, the even one.
  static func table(_ statistics: AttentionStatistics) -> [[String]] {
    let (trajectory, scaleList) = (statistics.trajectory, statistics.trajectory.scaleList)
    func percent(_ query: Int, _ keys: Range<Int>) -> String {
      guard let first = keys.first, trajectory.visibleScales(from: query).contains(first) else { return "–" }
      let even = keys.reduce(0) { $0 + statistics.evenShare(from: query, on: $1) }
      return String(format: "%.1f %% (%.1f)", 100 * statistics.share(from: query, on: keys), 100 * even)
    }
    let header = [
      "scale", "side", "keys", "itself (even)", "previous (even)", "earlier (even)", "mean distance (even)",
    ]
    return [header]
      + (0..<scaleList.count).map { scale in
        [
          "\(scale)", "\(scaleList.sides[scale])", "\(trajectory.keysPerQuery(of: scale))",
          percent(scale, scale..<scale + 1), percent(scale, max(scale - 1, 0)..<scale),
          percent(scale, 0..<max(scale - 1, 0)),
          String(format: "%.2f (%.2f)", statistics.meanDistance(of: scale), statistics.evenDistance(of: scale)),
        ]
      }
  }
}
