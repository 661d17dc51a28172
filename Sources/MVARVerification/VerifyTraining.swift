// Kind `train`: twelve optimizer steps through the published schedule: loss, gradient norm and rate of each, and the
// parameters at the end. Also `schedules.json`: rates and decays of every schedule.

import Foundation
import MVAR
import MVARComparison
import MVARTraining
import TensorCore

/// The optimizer settings of a `train` file.
private struct GoldenOptimizer: Decodable {
  let betas: [Double]
  let eps: Double
  let peakLR: Double
  let wd: Double
  let wdEnd: Double
  let schedule: String
  let warmup: Int
  let total: Int
  let wp0: Double
  let wpe: Double
  let clip: Double
  let ratioK: Int

  enum CodingKeys: String, CodingKey {
    case betas, eps, wd, schedule, warmup, total, wp0, wpe, clip
    case peakLR = "peak_lr"
    case wdEnd = "wd_end"
    case ratioK = "ratio_k"
  }
}

/// One step of a `train` file.
private struct GoldenStep: Decodable {
  let it: Int
  let segment: [Int]
  let loss: Double
  let gradNorm: Double
  let lr: Double

  enum CodingKeys: String, CodingKey {
    case it, segment, loss, lr
    case gradNorm = "grad_norm"
  }
}

/// One schedule of `schedules.json`.
private struct GoldenSchedule: Decodable {
  let schedule: String
  let peakLR: Double
  let warmup: Int
  let total: Int
  let wp0: Double
  let wpe: Double
  let weightDecay: Double
  let weightDecayEnd: Double
  let rows: [[Double]]

  enum CodingKeys: String, CodingKey {
    case schedule, warmup, total, wp0, wpe
    case peakLR = "peak_lr"
    case weightDecay = "weight_decay"
    case weightDecayEnd = "weight_decay_end"
    case rows = "rows_iteration_lr_decay"
  }
}

extension Verifier {
  /// Losses, norms and rates agree to a relative 1e-5, parameters to an absolute one: see the table of tolerances.
  func optimizerSteps(_ file: GoldenFile, _ rows: inout RowCollector) throws {
    let golden = try file.metadata("optimizer", as: GoldenOptimizer.self)
    guard golden.betas.count == 2, golden.total >= 1, golden.warmup >= 0 else {
      throw GoldenError(file.path, "describes an optimizer that cannot be")
    }
    let model: MarkovianTransformer<B> = try file.transformer(on: device)
    let batch = try trainingBatch(for: file, model.configuration)
    let trainer = TransformerTrainer(
      model, OptimizerSettings(betas: [golden.betas[0], golden.betas[1]], epsilon: golden.eps, clip: golden.clip),
      regularization: Regularization(labelDrop: 0))
    let undecayed = try file.metadata("no_weight_decay", as: [String].self)
    let ours = zip(trainer.optimizer.parameters, trainer.optimizer.decays).filter { !$0.1 }
      .map { CheckpointNames.key(of: $0.0.name, in: .transformer) }
    rows.check("parameters without decay", ours == undecayed, "in the order of a checkpoint")
    let cycle = SegmentCycle(model.trajectory, ratio: golden.ratioK)
    let rate = LearningRateSchedule(
      peak: golden.peakLR, decay: try .init(golden.schedule), warmup: golden.warmup, total: golden.total,
      start: golden.wp0, end: golden.wpe)
    let decay = WeightDecaySchedule(golden.wd, end: golden.wdEnd, total: golden.total)
    let streams = batch.labels.indices.map { RandomStream(seed: 0, stream: UInt64($0)) }
    for expected in try file.metadata("steps", as: [GoldenStep].self) {
      guard (0..<1_000_000).contains(expected.it) else { throw GoldenError(file.path, "has a step \(expected.it)") }
      let segments = cycle.segments(at: expected.it)
      let tokens = model.configuration.scaleList.tokens(of: segments[0])
      rows.check(
        "step.\(expected.it).segment", [tokens.lowerBound, tokens.upperBound] == expected.segment, "tokens \(tokens)")
      let learning = rate.rate(at: expected.it)
      let (losses, norm) = try trainer.step(
        batch, segments: segments, streams: streams, rate: learning, decay: decay.decay(at: expected.it))
      rows.measure("step.\(expected.it).lr", learning, expected.lr)
      rows.measure("step.\(expected.it).loss", losses[0].weighted, expected.loss)
      rows.measure("step.\(expected.it).grad_norm", norm, expected.gradNorm)
    }
    for parameter in model.parameters {
      let name = "param.\(CheckpointNames.key(of: parameter.name, in: .transformer))"
      let values = try ComparedValues(parameter.value)
      let (whole, head) = (file.checkpoint[name], file.checkpoint["\(name).head"])
      rows.judging(whole == nil && head != nil ? "\(name).head" : name) { rows in
        guard let stored = whole ?? head else { throw GoldenError(file.path, "has no tensor \(name)") }
        try rows.parameter(whole == nil ? "\(name).head" : name, values, stored, isPart: whole == nil)
      }
    }
  }

  /// The batch of the `mvar` file of the same name.
  private func trainingBatch(
    for file: GoldenFile, _ configuration: TransformerConfiguration
  ) throws -> TokenBatch<B> {
    let path = file.path.replacingOccurrences(of: ".train.", with: ".mvar.")
    guard path != file.path, FileManager.default.fileExists(atPath: path) else {
      throw GoldenError(file.path, "needs the mvar file of the same name beside it, and there is none")
    }
    let source = try GoldenFile(path: path)
    let labels: Indices<B> = try source.loadIndices("labels", below: configuration.classes + 1, on: device)
    let tokens: Indices<B> = try source.loadIndices("tokens", below: configuration.vocabulary, on: device)
    let inputs: Tensor<B> = try source.load("mvar_input", on: device)
    let (batch, length) = (labels.shape.count, configuration.scaleList.length)
    guard tokens.shape.count == batch * length, inputs.shape == [batch, length - 1, configuration.codeWidth] else {
      throw GoldenError(path, "holds no batch for this configuration")
    }
    return TokenBatch(
      labels: try labels.values(), tokens: try B.indices(tokens.storage), inputs: inputs)
  }

  func verifySchedules(_ path: String, _ data: Data) throws -> ComparisonReport {
    guard let schedules = try? JSONDecoder().decode([GoldenSchedule].self, from: data) else {
      throw GoldenError(path, "is no list of crops or of schedules")
    }
    var rows = RowCollector(limits)
    for golden in schedules {
      guard let shape = try? LearningRateSchedule.Decay(golden.schedule), golden.total >= 1, golden.warmup >= 0 else {
        rows.notJudged("\(golden.schedule).\(golden.total)", "is no schedule that this version knows")
        continue
      }
      let rate = LearningRateSchedule(
        peak: golden.peakLR, decay: shape, warmup: golden.warmup, total: golden.total,
        start: golden.wp0, end: golden.wpe)
      let decay = WeightDecaySchedule(golden.weightDecay, end: golden.weightDecayEnd, total: golden.total)
      for row in golden.rows {
        guard row.count == 3, (0..<1e6).contains(row[0]) else {
          rows.notJudged("\(golden.schedule).\(golden.total)", "\(row) is no iteration with its rate and decay")
          continue
        }
        let name = "\(golden.schedule).\(golden.total).\(Int(row[0]))"
        rows.measure("\(name).lr", rate.rate(at: Int(row[0])), row[1])
        rows.measure("\(name).decay", decay.decay(at: Int(row[0])), row[2])
      }
    }
    return ComparisonReport(subject: path, kind: "schedules", rows: rows.rows)
  }
}
