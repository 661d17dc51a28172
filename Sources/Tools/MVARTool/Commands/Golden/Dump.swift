// `mvar golden dump`: every value of a model at work, in the order in which it is computed.

import ArgumentParser
import MVAR
import MVARMedia
import MVARPipeline
import MVARVerification
import TensorCore

extension Version {
  /// Who makes a file, for its metadata.
  static var producer: String { "mvar \(current)" }
}

extension Golden {
  struct Dump: EngineCommand {
    static let precisions = CPUPrecisions.judging

    /// Greedy sampling, which every implementation can repeat.
    enum Defaults: SamplingDefaults {
      static let named = SamplingValues(guidance: 1, topK: 1, topP: 0)
    }

    static let configuration = CommandConfiguration(
      abstract: "Write every value of a model at work to a file.",
      discussion: """
        The values of every scale and block in the order in which they are computed: condition vectors, norms, queries, \
        keys, values, attention, feed-forward, logits, tokens, codes, f̂ and the decoder's stages. With another \
        implementation's file of the same names, `mvar golden diff A B --first` names the first step that differs.

          mvar golden dump --model seeded:d16 --class 207 --scales 0:3 -o ours.safetensors

        Names are those of a checkpoint's modules; the metadata entry order lists them.
        """)

    @Option(
      parsing: .unconditional,
      help: """
        The transformer: a checkpoint file, seeded:d16, or a golden file of models, whose sizes and seed are taken \
        (default: the small model that ships with the package).
        """)
    var model: String?

    @Option(
      parsing: .unconditional,
      help: "The tokenizer (default: the model's file if it holds one, or the same seeded or golden model).")
    var tokenizer: String?

    @Option(name: .customLong("class"), parsing: .unconditional, help: "The class of the image, by number.")
    var label = 0

    @Option(
      parsing: .unconditional, help: "The seed of the random numbers; 0 to 2⁶⁴ − 1.", transform: Arguments.seed)
    var seed: UInt64 = 0

    @Option(
      parsing: .unconditional,
      help: ArgumentHelp(
        "The scales, from the first to the one after the last, such as 0:3 (default: all).", valueName: "first:end"))
    var scales: String?

    @Flag(help: "Also the backward of the teacher-forced loss of the tokens: the gradient of every step and parameter.")
    var gradients = false

    @Option(parsing: .unconditional, help: "An image to encode first; teacher forcing then uses its tokens.")
    var image: String?

    @Option(parsing: .unconditional, help: "The largest dump in MiB.")
    var limit = 1024

    @Option(name: [.short, .long], parsing: .unconditional, help: "The file to write (.safetensors or .npz).")
    var output: String

    @OptionGroup var sampling: SamplerOptions<Defaults>

    @OptionGroup var files: ModelFilesOptions

    @OptionGroup(title: "Engine")
    var engine: EngineOptions

    func validate() throws {
      try files.check(model: model, tokenizer: tokenizer)
      guard (0...1_000_000).contains(label) else {
        throw ValidationError("--class is \(label); use a number from 0 up")
      }
      try Arguments.check("--limit", limit, in: 1...1_000_000)
      _ = try range(of: 1 << 20)
    }

    func checkOutputs() throws {
      try OutputFile.check(
        output, endings: GoldenFormat.endings, keeping: [model, tokenizer, image].compactMap { $0 })
    }

    mutating func run() throws {
      let engine = try engine.open(for: Self.precisions)
      try checkOutputs()
      try engine.runAsTruth(self)
    }

    func run<B: Backend, D: EngineDevice>(on engine: B.Type, device: D) throws where B.Device == D {
      let (transformer, tokenizer): (MarkovianTransformer<B>, VQVAE<B>) = try models(on: device)
      let files = [model, self.tokenizer].compactMap { $0 }.joined(separator: " with ")
      let scales = try range(of: transformer.configuration.scaleList.count)
      let side = tokenizer.configuration.imageSide
      let request = DumpRequest(
        label: label, seed: seed, options: try sampling.options(), scales: scales, hasGradients: gradients,
        image: try image.map { try PixelImage.load($0).centerCrop(side).planarFloats() }, limit: limit << 20)
      let dump = try naming(files) { try ExecutionDump(transformer, tokenizer) }
      let draft = try naming(files) { try dump.run(request, producer: Version.producer) }
      try draft.write(to: output)
      try Console.print("\(output): \(draft.tensors.count) tensors of scales \(scales.lowerBound):\(scales.upperBound)")
    }

    /// The scales of a text such as `0:3`; all without one.
    private func range(of count: Int) throws -> Range<Int> {
      guard let scales else { return 0..<count }
      let ends = scales.split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
      guard ends.count == 2, let first = ends[0], let end = ends[1], 0 <= first, first < end, end <= count else {
        throw ValidationError(
          "--scales is \"\(scales.prefix(40))\"; write the first and the one after the last, such as 0:3"
            + (count < 1 << 20 ? ", of \(count) scales" : ""))
      }
      return first..<end
    }

    // MARK: Models

    private func models<B: Backend>(on device: B.Device) throws -> (MarkovianTransformer<B>, VQVAE<B>) {
      guard let transformer = model ?? ShippedModel.transformer else { throw Failure(ShippedModel.absence) }
      let shipped = model == nil ? ShippedModel.tokenizer : nil
      let tokenizer = self.tokenizer ?? shipped ?? transformer
      let model: MarkovianTransformer<B> = try naming(transformer) { try load(transformer: transformer, on: device) }
      let sides = model.configuration.scaleList.sides
      return (model, try naming(tokenizer) { try load(tokenizer: tokenizer, sides: sides, on: device) })
    }

    private func load<B: Backend>(transformer path: String, on device: B.Device) throws -> MarkovianTransformer<B> {
      guard GoldenConfiguration.isStated(by: path) else {
        return try modelSource(path, option: "--model", files.weights.choice()).transformer(
          files.hints.hints(), on: device)
      }
      let golden = try GoldenConfiguration(path: path)
      return try MarkovianTransformer(
        golden.transformer(files.hints.attention ?? .mvar), SeededSource(seed: golden.seed, .transformer, on: device),
        on: device)
    }

    /// - Parameter sides: the transformer's list of scales, unless the tokenizer's file or an option states one.
    private func load<B: Backend>(tokenizer path: String, sides: [Int], on device: B.Device) throws -> VQVAE<B> {
      guard GoldenConfiguration.isStated(by: path) else {
        var hints = try files.hints.hints()
        hints.sides = hints.sides ?? sides
        return try modelSource(path, option: "--tokenizer", files.tokenizerWeights.choice()).tokenizer(
          hints, on: device)
      }
      let golden = try GoldenConfiguration(path: path)
      return try VQVAE(golden.tokenizer(), SeededSource(seed: golden.seed, .tokenizer, on: device), on: device)
    }
  }
}
