// `gpu-check speed sampling` and `gpu-check speed training`: whole models, their time and their peak tensor memory.

import ArgumentParser
import MVAR
import MVARCUDA
import MVARTraining
import TensorCore

/// A command that times models in every requested precision.
protocol SpeedOfModels: ParsableCommand {
  var models: ModelOptions { get }
  /// Times them in one.
  func time(_ scenario: Scenario, in precision: CUDAEngine.Precision) throws
}

extension SpeedOfModels {
  func run() throws {
    let scenario = try models.scenario()
    for precision in models.device.precision { try time(scenario, in: precision) }
  }
}

struct SpeedOfSampling: SpeedOfModels {
  static let configuration = CommandConfiguration(
    commandName: "sampling", abstract: "Time sampling with guidance, by MVAR and by VAR.")

  @OptionGroup var models: ModelOptions

  func time(_ scenario: Scenario, in precision: CUDAEngine.Precision) throws {
    let (device, count) = (models.device, models.imageCount)
    let section = "Sampling \(count) images: \(scenario.name), guidance 2.7, top-k 900, top-p 0.96, without the decoder"
    for pattern in [AttentionPattern.mvar, .blockCausal] {
      progress("sampling with \(pattern.rawValue) in \(precision.rawValue)")
      let engine = try device.engine(precision)
      let sampler: Sampler<CUDA> = try scenario.makeSampler(pattern, on: engine)
      let streams = (0..<count).map { RandomStream(seed: 1, stream: UInt64($0)) }
      let (labels, options) = (scenario.labels(count), try Scenario.options())
      try engine.synchronize()
      let weights = engine.memoryUse.used
      engine.resetPeakMemory()
      let seconds = try Stopwatch(engine: engine, once: device.small).seconds {
        _ = try sampler.sample(labels: labels, streams: streams, options)
      }
      let column = device.column(precision)
      Measurement(section, "\(pattern.rawValue), time", column, Amount.time(seconds)).report()
      Measurement(
        section, "\(pattern.rawValue), memory beyond the weights", column,
        Amount.bytes(engine.memoryUse.peak - weights)
      ).report()
      Measurement(section, "weights", column, Amount.bytes(weights)).report()
    }
    try sampleOneByOne(scenario, precision)
  }

  /// Samples one image at a time, where launches may take longer than kernels, with single and with recorded launches.
  private func sampleOneByOne(_ scenario: Scenario, _ precision: CUDAEngine.Precision) throws {
    let section =
      "Sampling images one at a time: \(scenario.name), guidance 2.7, top-k 900, top-p 0.96, without the decoder"
    progress("sampling one image at a time in \(precision.rawValue)")
    let engine = try models.device.engine(precision)
    let sampler: Sampler<CUDA> = try scenario.makeSampler(on: engine)
    let (labels, options) = (scenario.labels(1), try Scenario.options())
    for (row, recordings) in [("single launches", nil), ("recorded launches", SamplingRecordings(sampler))] {
      try engine.freeIdleMemory()
      engine.resetPeakMemory()
      let before = engine.memoryUse.used
      func sample() throws {
        let streams = [RandomStream(seed: 1, stream: 0)]
        _ = try sampler.sample(labels: labels, streams: streams, options, recordings: recordings)
      }
      // The first batch is computed, the second recorded.
      for _ in 0..<2 { try sample() }
      let seconds = try Stopwatch(engine: engine, once: models.device.small).seconds(sample)
      let column = models.device.column(precision)
      Measurement(section, "\(row), time", column, Amount.time(seconds)).report()
      Measurement(
        section, "\(row), memory beyond the weights", column, Amount.bytes(engine.memoryUse.peak - before)
      ).report()
    }
  }
}

struct SpeedOfTraining: SpeedOfModels {
  static let configuration = CommandConfiguration(
    commandName: "training", abstract: "Time a training step of every segment.")

  @OptionGroup var models: ModelOptions

  func time(_ scenario: Scenario, in precision: CUDAEngine.Precision) throws {
    let (device, count) = (models.device, models.imageCount)
    let section = "A training step of \(count) images: \(scenario.name)"
    progress("training in \(precision.rawValue)")
    let engine = try device.engine(precision)
    let trainer = TransformerTrainer<CUDA>(
      try scenario.makeTransformer(on: engine), regularization: Regularization(labelDrop: 0))
    let configuration = scenario.transformer
    let length = configuration.scaleList.length
    let batch = TokenBatch<CUDA>(
      labels: scenario.labels(count),
      tokens: (0..<count * length).map { Int32($0 * 37 % configuration.vocabulary) },
      inputs: try numbers([count, length - 1, configuration.codeWidth], on: engine))
    let streams = (0..<count).map { RandomStream(seed: 0, stream: UInt64($0)) }
    for scales in trainer.model.trajectory.segments {
      try engine.freeIdleMemory()
      engine.resetPeakMemory()
      let seconds = try Stopwatch(engine: engine, once: device.small).seconds {
        _ = try trainer.step(batch, segments: [scales], streams: streams, rate: 1e-5, decay: 0.05)
      }
      let row = "scales \(scales.lowerBound + 1) to \(scales.upperBound)"
      Measurement(section, "\(row), time", device.column(precision), Amount.time(seconds)).report()
      Measurement(section, "\(row), peak memory", device.column(precision), Amount.bytes(engine.memoryUse.peak))
        .report()
    }
  }
}
