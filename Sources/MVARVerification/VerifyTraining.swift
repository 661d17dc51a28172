// Kind `train`: twelve optimizer steps through the published schedule: loss, gradient norm and rate of each, and the
// parameters at the end. Also `schedules.json`: rates and decays of every schedule.

import Foundation
import MVAR
import MVARComparison
import MVARFiles
import MVARTraining
import TensorCore

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
    guard golden.isPossible else {
      throw GoldenError(file.path, "describes an optimizer that cannot be")
    }
    let model: MarkovianTransformer<B> = try file.transformer(on: device)
    let batch = try ForcedBatch<B>(file.fileOfBatch(), model.configuration, on: device)
    let training = try GoldenTraining(model, golden, try batch.ofTrainer())
    let undecayed = try file.metadata("no_weight_decay", as: [String].self)
    rows.check("parameters without decay", training.undecayed == undecayed, "in the order of a checkpoint")
    for expected in try file.metadata("steps", as: [GoldenStep].self) {
      guard (0..<1_000_000).contains(expected.it) else { throw GoldenError(file.path, "has a step \(expected.it)") }
      let step = try training.step(at: expected.it)
      rows.check(
        "step.\(expected.it).segment", step.segment == expected.segment,
        "tokens \(step.segment[0])..<\(step.segment[1])")
      rows.measure("step.\(expected.it).lr", step.lr, expected.lr)
      rows.measure("step.\(expected.it).loss", step.loss, expected.loss)
      rows.measure("step.\(expected.it).grad_norm", step.gradNorm, expected.gradNorm)
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

  func verifySchedules(_ path: String, _ data: Data) throws -> ComparisonReport {
    let schedules: [GoldenSchedule]
    do {
      schedules = try [GoldenSchedule](strictly: [UInt8](data), subject: "it")
    } catch let error as FileError {
      throw GoldenError(path, error.reason)
    } catch {
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
