// The baseline VAR and the ablation compared with MVAR: what they share, where they differ, and that a cache changes
// nothing.

import MVAR
import MVARCheckpoints
import MVARFiles
import MVARTestSupport
import TensorCore
import Testing

@Suite struct BaselineTests {
  /// Sampling keeps keys and values; computing all scales so far again from their tokens must give the same logits.
  @Test(arguments: Engine.all)
  func `sampling with the cache equals computing everything again`(engine: Engine) throws {
    try checkCache(engine.type)
  }

  private func checkCache<B: HostBackend>(_: B.Type) throws {
    let model = try TinyModels.transformer(B.self, on: HostDevice(), attention: .blockCausal)
    let tokenizer = try TinyModels.tokenizer(B.self, on: HostDevice())
    let sampler = try Sampler(model, tokenizer.quantizer)
    let (labels, guidance) = ([1, 4, 0], 1.5)
    let scaleList = model.configuration.scaleList
    var inputs: Variable<B>?
    var largest = 0.0
    let streams = labels.indices.map { RandomStream(seed: 7, stream: UInt64($0)) }
    _ = try sampler.sample(labels: labels, streams: streams, SamplingOptions(guidance: guidance, topK: 8)) { sampled in
      let rows = labels + labels.map { _ in model.configuration.classes }
      let condition = model.condition(labels: try Indices(rows, shape: [rows.count], on: HostDevice()))
      let all = try model.logits(condition, inputs: inputs, scales: 0..<sampled.scale + 1).value  // [2B, N, V]
      let last = B.slice(all, axis: 1, scaleList.tokens(of: sampled.scale))
      let guided = B.guide(last, strength: B.Scalar(guidance * scaleList.ratio(of: sampled.scale)))
      for (again, cached) in zip(try guided.scalars(), try sampled.logits.scalars()) {
        largest = max(largest, abs(Double(again) - Double(cached)))
      }
      if sampled.scale + 1 < scaleList.count {
        let next = try tokenizer.quantizer.input(of: sampled.scale + 1, sum: Variable(sampled.sum))
        let both = Variable.concatenated([next, next], axis: 0)
        inputs = inputs.map { Variable.concatenated([$0, both], axis: 1) } ?? both
      }
      // 2 · tokens so far · C values per block and row.
      let tokens = scaleList.tokens(of: 0..<sampled.scale + 1).count
      #expect(sampled.cacheByteCount == 2 * tokens * 32 * 2 * rows.count * MemoryLayout<B.Scalar>.stride)
    }
    // Logits are of order 1; the two ways add the same values in different orders.
    #expect(largest < (B.Scalar.self == Float.self ? 2e-5 : 1e-13))
  }

  @Test func `VAR sees earlier scales and MVAR does not`() throws {
    let device = HostDevice()
    func logits(_ attention: AttentionPattern, changing: Bool) throws -> [Double] {
      let model = try TinyModels.transformer(CPU<Double>.self, on: HostDevice(), attention: attention)
      var random = RandomValues(seed: 2)
      var inputs = try random.normal([1, 29, 8]).tensor(CPU<Double>.self).scalars()
      // One value of scale 1's input, the first of the four tokens.
      if changing { inputs[3] += 1 }
      let condition = model.condition(labels: try Indices([2], shape: [1], on: device))
      let runs = model.trajectory.independentRuns
      return try runs.flatMap { scales in
        let rows = model.trajectory.inputRows(of: scales)
        let part = CPU.slice(try Tensor(inputs, shape: [1, 29, 8], on: device), axis: 1, rows)
        return try model.logits(condition, inputs: Variable(part), scales: scales).value.scalars()
      }
    }
    for attention in AttentionPattern.allCases {
      let (before, after) = (try logits(attention, changing: false), try logits(attention, changing: true))
      let changed = Set(before.indices.filter { before[$0] != after[$0] }.map { $0 / 32 })
      // Tokens 1–4 are scale 1; 5–29 are later scales.
      #expect(!changed.contains(0))
      #expect(changed.isSuperset(of: 1..<5))
      #expect(changed == Set(attention == .blockCausal ? 1..<30 : 1..<5), "\(attention)")
    }
  }

  @Test func `the ablation is MVAR without windows`() throws {
    let device = HostDevice()
    var random = RandomValues(seed: 3)
    let inputs = try random.normal([2, 16, 8]).tensor(CPU<Double>.self)
    func logits(_ attention: AttentionPattern, refineStep: Int) throws -> [Double] {
      let base = try TinyModels.transformer(CPU<Double>.self, on: HostDevice())
      var configuration = base.configuration
      configuration.attention = attention
      configuration.refineStep = refineStep
      let model = try MarkovianTransformer<CPU<Double>>(
        configuration, SeededSource(seed: 3, .transformer, on: device), on: device)
      let condition = model.condition(labels: try Indices([2, 5], shape: [2], on: device))
      return try model.logits(condition, inputs: Variable(inputs), scales: 3..<4).value.scalars()
    }
    let ablation = try logits(.scaleMarkov, refineStep: 2)
    #expect(ablation == (try logits(.mvar, refineStep: 4)))
    #expect(ablation != (try logits(.mvar, refineStep: 2)))
  }

  @Test func `VAR always samples with guidance and MVAR needs none`() throws {
    let tokenizer = try TinyModels.tokenizer(CPU<Double>.self, on: HostDevice())
    for attention in [AttentionPattern.mvar, .blockCausal] {
      let model = try TinyModels.transformer(CPU<Double>.self, on: HostDevice(), attention: attention)
      let sampler = try Sampler(model, tokenizer.quantizer)
      var last: [Double] = []
      var inputs: Variable<CPU<Double>>?
      _ = try sampler.sample(
        labels: [3], streams: [RandomStream(seed: 1, stream: 0)], SamplingOptions(guidance: 1, topK: 1)
      ) { sampled in
        if sampled.scale == 1 { last = try sampled.logits.scalars() }
        if sampled.scale == 0 { inputs = try tokenizer.quantizer.input(of: 1, sum: Variable(sampled.sum)) }
      }
      func plain(_ label: Int) throws -> [Double] {
        let condition = model.condition(labels: try Indices([label], shape: [1], on: HostDevice()))
        let logits = try model.logits(condition, inputs: inputs, scales: 0..<2).value
        return try CPU.slice(logits, axis: 1, 1..<5).scalars()
      }
      // t = cfg·s/(S − 1) = 1/3 at scale 1
      let guided = zip(try plain(3), try plain(5)).map { $0 * 4 / 3 - $1 / 3 }
      let expected = attention == .mvar ? try plain(3) : guided
      #expect(zip(last, expected).allSatisfy { abs($0 - $1) < 1e-12 })
    }
  }

  @Test func `segments and runs`() {
    func trajectory(_ attention: AttentionPattern) -> ScaleTrajectory {
      ScaleTrajectory(TransformerConfiguration(depth: 1, attention: attention))
    }
    #expect(trajectory(.blockCausal).segments == [0..<10])
    #expect(trajectory(.blockCausal).independentRuns == [0..<10])
    #expect(trajectory(.scaleMarkov).segments == trajectory(.mvar).segments)
    #expect(trajectory(.mvar).independentRuns.count == 10)
    #expect((0..<10).map(trajectory(.blockCausal).keysPerQuery) == [1, 5, 14, 30, 55, 91, 155, 255, 424, 680])
    #expect((0..<10).map(trajectory(.scaleMarkov).keysPerQuery) == [1, 4, 9, 16, 25, 36, 64, 100, 169, 256])
    #expect((0..<10).map(trajectory(.mvar).keysPerQuery) == [1, 4, 9, 16, 25, 36, 64, 100, 49, 49])
  }

  /// The one-block checkpoint with a mask, under a wrapper; the mask is that of VAR or of MVAR's first segment.
  private func attention(
    mask: AttentionPattern?, under wrapper: String = "", metadata: [String: String] = [:],
    _ hint: AttentionPattern? = nil
  ) throws -> (read: AttentionPattern, contradicting: AttentionPattern?) {
    let source = try Checkpoint.open(Fixtures.path("golden/files/checkpoint_bare.pth"))
    let scaleList = try ScaleList([1, 2, 3, 4, 6, 8])
    let length = scaleList.length
    let levels = (0..<length).map { token in
      (0..<scaleList.count).first { scaleList.tokens(of: $0).contains(token) }!
    }
    var tensors = source.tensors.filter { $0.name != "attn_bias_for_masking" }
    if let mask {
      let values = (0..<length * length).map { index -> Float in
        let (query, key) = (levels[index / length], levels[index % length])
        return (mask == .blockCausal ? query >= key : query == key) ? 0 : -Float.infinity
      }
      tensors.append(("attn_bias_for_masking", try StoredTensor(values, shape: [1, 1, length, length])))
    }
    return try withTemporaryFolder { folder in
      let path = "\(folder)/model.safetensors"
      try SafetensorsWriter.write(
        tensors.map { (wrapper.isEmpty ? $0.name : "\(wrapper).\($0.name)", $0.tensor) }, metadata: metadata, to: path)
      let weights = try CheckpointWeights(path: path, .transformer)
      #expect(weights.wrapper == wrapper)
      let configuration = try TransformerConfiguration(
        weights, ModelHints(attention: hint, window: 3, refineStep: 4))
      return (configuration.attention, try weights.contradictingMask())
    }
  }

  @Test(arguments: ["", "state_dict", "model_state_dict"])
  func `the mask tells VAR from MVAR where no wrapper names the model`(wrapper: String) throws {
    #expect(try attention(mask: nil, under: wrapper) == (.mvar, nil))
    #expect(try attention(mask: .mvar, under: wrapper) == (.mvar, nil))
    #expect(try attention(mask: .blockCausal, under: wrapper) == (.blockCausal, nil))
  }

  @Test(arguments: [("mvar_wo_ddp", AttentionPattern.mvar), ("var_wo_ddp", .blockCausal)], ["", "trainer."])
  func `the wrapper's name tells more than the mask`(
    named: (wrapper: String, attention: AttentionPattern), outer: String
  ) throws {
    for mask in [nil, AttentionPattern.mvar, .blockCausal] {
      let contradicting = mask == named.attention ? nil : mask
      #expect(
        try attention(mask: mask, under: outer + named.wrapper) == (named.attention, contradicting), "\(mask as Any)")
    }
  }

  @Test func `metadata tell more than wrapper and mask, the caller most`() throws {
    for wrapper in ["", "mvar_wo_ddp", "var_wo_ddp"] {
      let metadata = ["attention": "scale-markov"]
      for mask in [AttentionPattern.mvar, .blockCausal] {
        #expect(try attention(mask: mask, under: wrapper, metadata: metadata).read == .scaleMarkov)
        for hint in AttentionPattern.allCases {
          #expect(try attention(mask: mask, under: wrapper, metadata: metadata, hint).read == hint)
          #expect(try attention(mask: mask, under: wrapper, hint).read == hint)
        }
      }
    }
    #expect(throws: FileError.self) { try attention(mask: .blockCausal, metadata: ["attention": "all"]) }
  }

  /// The file as PyTorch writes it when MVAR was fine-tuned from VAR's checkpoint, and the same weights without the
  /// wrapper.
  @Test func `a fine-tuned MVAR file with VAR's mask is MVAR`() throws {
    func configuration(_ name: String) throws -> TransformerConfiguration {
      try TransformerConfiguration(
        CheckpointWeights(path: Fixtures.path("golden/files/\(name).pth"), .transformer), ModelHints(window: 3))
    }
    #expect(try configuration("mvar_finetuned_from_var").attention == .mvar)
    #expect(try configuration("bare_with_var_mask").attention == .blockCausal)
    #expect(try configuration("checkpoint_training").attention == .mvar)
  }
}
