// What every training does around its steps: metrics are logged, a checkpoint is written at intervals, as are images
// and validation, and a request to stop is honored between two steps and inside a validation. It knows nothing about
// models.
//
// All of it depends on the number of the step alone, so a resumed run does the same things at the same steps. A step is
// saved before it is validated: what a stop or a crash leaves out is then made up for by the resumed run.
//
// Where several processes train together, all run the same loop and the first of them writes; a request to stop, which one
// of them may notice before the others, holds for all.

import Foundation
import MVARCollectives
import MVARFiles
import MVARMedia

/// A training that can be run step by step.
public protocol TrainingSession {
  /// Runs the iteration of this number, counted from 0.
  ///
  /// - Returns: what to log, by name; `loss` first.
  mutating func step(_ iteration: Int) throws -> [(String, Double)]
  /// Metrics on images that are never trained on.
  ///
  /// - Parameter shouldStop: called before each batch.
  /// - Returns: nil if it was told to stop.
  func validate(unless shouldStop: () -> Bool) throws -> [(String, Double)]?
  /// An image that shows the model's progress; asked of the first rank only.
  ///
  /// - Parameter shouldStop: called before each batch.
  /// - Returns: nil if it was told to stop.
  func image(unless shouldStop: () -> Bool) throws -> PixelImage?
  /// Writes everything needed to resume after `iterations` iterations; called by every rank, and the first one writes.
  func save(iterations: Int, to path: String) throws
  /// How many tokens (or pixels) an iteration works on, for the pace.
  var unitsPerStep: (count: Double, name: String) { get }
}

extension TrainingSession {
  /// Metrics on images that are never trained on.
  public func validate() throws -> [(String, Double)] { try validate(unless: { false }) ?? [] }
}

/// The intervals of checkpoints, validation and images.
public struct TrainingPlan: Hashable, Sendable {
  /// How many iterations there are.
  public var iterations: Int
  /// Iterations between two checkpoints.
  public var saveEvery: Int
  /// Iterations between two validations; 0 for none.
  public var validateEvery: Int
  /// Iterations between two images; 0 for none.
  public var imageEvery: Int

  /// A plan.
  public init(iterations: Int, saveEvery: Int = 100, validateEvery: Int = 200, imageEvery: Int = 200) {
    self.iterations = iterations
    self.saveEvery = saveEvery
    self.validateEvery = validateEvery
    self.imageEvery = imageEvery
  }

  /// Whether something done every `interval` iterations is due after `done` of them.
  func isDue(_ interval: Int, after done: Int) -> Bool {
    interval > 0 && (done % interval == 0 || done == iterations)
  }
}

/// Runs a session to its end, or until it is asked to stop.
public struct TrainingLoop {
  /// How a run ended.
  public enum End: Sendable {
    /// All iterations are done.
    case finished
    /// It was asked to stop, and saved; the associated value is the number of iterations done.
    case interrupted(after: Int)
  }

  /// Where results go.
  public let folder: RunFolder
  /// The intervals of checkpoints, validation and images.
  public let plan: TrainingPlan
  /// The metrics that the loss curve shows.
  public let curves: [String]
  /// The processes that train together.
  public let collectives: any Collectives

  /// A loop.
  public init(
    _ folder: RunFolder, _ plan: TrainingPlan, curves: [String] = ["loss"],
    collectives: any Collectives = SingleProcess()
  ) {
    self.folder = folder
    self.plan = plan
    self.curves = curves
    self.collectives = collectives
  }

  /// Runs a session.
  ///
  /// - Parameters:
  ///   - session: what is trained.
  ///   - first: the iteration to begin with: 0, or the number done according to a checkpoint.
  ///   - shouldStop: called between two iterations, and between two batches of a validation or of images.
  ///   - report: receives a line about progress, after every iteration.
  ///   - onNote: receives a sentence when the log of a resumed run lacks lines.
  /// - Throws: what the session throws, and `FileError` when the loss becomes NaN or infinite; the last checkpoint
  ///   stays.
  public func run(
    _ session: inout some TrainingSession, from first: Int, shouldStop: () -> Bool = { false },
    report: (String) -> Void = { _ in }, onNote: (String) -> Void = { _ in }
  ) throws -> End {
    guard 0...plan.iterations ~= first else {
      throw FileError(folder.path, "iteration \(first) lies outside of the run, which has \(plan.iterations)")
    }
    // Before anything else, so that a run can be resumed whenever it ends.
    if first == 0 { try session.save(iterations: 0, to: folder.checkpoint) }
    let records = collectives.isRoot ? try Records(folder, continuingAfter: first) : nil
    var pace = Pace(total: plan.iterations, done: first)
    if first > 0 {
      if let records, records.metrics.keptOfLastStep == 0 {
        onNote("\(folder.metrics): has no line of step \(first), which is done: the curve will lack what is missing")
      }
      // The process may have ended between the checkpoint and what follows it. A step has one line, its validation
      // another.
      let due = Due(
        validation: try collectives.answer(
          plan.isDue(plan.validateEvery, after: first) && records?.metrics.keptOfLastStep == 1),
        image: try collectives.answer(
          plan.isDue(plan.imageEvery, after: first) && access(folder.sample(step: first), F_OK) != 0))
      guard try show(session, after: first, due, records, shouldStop) else { return .interrupted(after: first) }
    }
    for iteration in first..<plan.iterations {
      if try collectives.any(shouldStop()) {
        try session.save(iterations: iteration, to: folder.checkpoint)
        return .interrupted(after: iteration)
      }
      let measures = try session.step(iteration)
      guard measures.allSatisfy({ $0.1.isFinite }) else {
        let names = measures.filter { !$0.1.isFinite }.map(\.0).joined(separator: ", ")
        throw FileError(
          folder.path,
          "after iteration \(iteration + 1) these are no numbers any more: \(names); the last checkpoint is kept, try a "
            + "lower learning rate")
      }
      let done = iteration + 1
      try records?.append(step: done, measures)
      pace.advance(to: done)
      report(line(measures, done, pace, session.unitsPerStep))
      let isSaved = plan.isDue(plan.saveEvery, after: done)
      if isSaved { try session.save(iterations: done, to: folder.checkpoint) }
      let due = Due(
        validation: plan.isDue(plan.validateEvery, after: done), image: plan.isDue(plan.imageEvery, after: done))
      guard try show(session, after: done, due, records, shouldStop) else {
        if !isSaved { try session.save(iterations: done, to: folder.checkpoint) }
        return .interrupted(after: done)
      }
    }
    return .finished
  }

  /// What is to be shown of a step.
  private struct Due {
    let validation: Bool
    let image: Bool
  }

  /// Validates and draws.
  ///
  /// - Returns: false if it was told to stop; nothing is written of what is not complete.
  private func show(
    _ session: some TrainingSession, after done: Int, _ due: Due, _ records: Records?, _ shouldStop: () -> Bool
  ) throws -> Bool {
    if due.validation {
      // Every rank asks as often as the others, so that they can agree.
      var failure: (any Error)?
      let found = try session.validate {
        do {
          return try collectives.any(shouldStop())
        } catch {
          failure = error
          return true
        }
      }
      if let failure { throw failure }
      guard let found else { return false }
      try records?.append(step: done, found)
    }
    if due.image {
      let image = records == nil ? nil : try session.image(unless: shouldStop)
      guard try collectives.answer(image != nil) else { return false }
      // Before the image, which tells a resumed run that both are there.
      if let image {
        try LossCurve.write(metrics: folder.metrics, keys: curves, title: "training", to: folder.curve)
        try image.writePNG(to: folder.sample(step: done))
      }
    }
    return true
  }

  /// What the first rank writes down of every step.
  private struct Records {
    let metrics: MetricsLog
    let events: TensorBoardWriter

    init(_ folder: RunFolder, continuingAfter first: Int) throws {
      metrics = try MetricsLog(path: folder.metrics, continuingAfter: first)
      events = try TensorBoardWriter(folder: folder.events)
    }

    func append(step: Int, _ measures: [(String, Double)]) throws {
      try metrics.append(step: step, measures)
      try events.append(step: step, values: measures)
    }
  }

  private func line(
    _ measures: [(String, Double)], _ done: Int, _ pace: Pace, _ units: (count: Double, name: String)
  ) -> String {
    let shown = measures.prefix(2).map { "\($0.0) \(Self.short($0.1))" }.joined(separator: ", ")
    let rate = pace.secondsPerStep.map { ", \(Int(units.count / $0)) \(units.name)/s" } ?? ""
    return "step \(done) of \(plan.iterations): \(shown)\(rate), \(pace.description)"
  }

  private static func short(_ value: Double) -> String { String(format: "%.4f", value) }
}
