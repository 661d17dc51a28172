// `gpu-check speed operators`: how close each operator comes to the device's limits, at the sizes of d16 with 32 images
// under guidance. The operators and their costs come from the registry; a fraction of copying is relative to the bytes
// that must at least be read and written.

import ArgumentParser
import MVARCUDA
import OperatorCases
import TensorCore

struct SpeedOfOperators: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "operators", abstract: "Time every operator, as a fraction of the device's limits.")

  @OptionGroup var device: DeviceOptions

  /// The title of the table, to which other programs add rows.
  static func section(_ sizes: TimedSizes) -> String {
    "Operators at the sizes of d16: \(sizes.batch) rows of a batch, maps of \(sizes.side) × \(sizes.side)"
  }

  func run() throws {
    let sizes = device.small ? TimedSizes.small : .d16
    for precision in device.precision {
      progress("operators in \(precision.rawValue)")
      let engine = try device.engine(precision)
      let rates = Rates(engine: engine, isSmall: device.small)
      let limits = (copies: try rates.copying(), products: try rates.product())
      let watch = Stopwatch(engine: engine, once: device.small)
      for timed in OperatorCases.timed(sizes)
      where timed.operatorCase.isProduct || precision == device.precision.first && device.products == .own {
        for (direction, seconds, cost) in try times(timed, timed.operatorCase, watch) {
          let text = Amount.time(seconds) + Self.rate(cost, timed.operatorCase.cost.isArithmetic, seconds, limits)
          Measurement(
            Self.section(sizes), timed.operatorCase.name + direction, device.column(precision), text
          ).report()
        }
      }
    }
  }

  /// The seconds of the forward and, if it is to be timed, of the backward, with the cost of each.
  private func times(_ timed: TimedCase, _ operatorCase: some OperatorCase, _ watch: Stopwatch) throws
    -> [(direction: String, seconds: Double, cost: OperatorCost.Pass)]
  {
    let cost = operatorCase.cost
    let inputs = try operatorCase.load(CUDA.self, on: watch.engine)
    let forward = operatorCase.repeated(inputs)
    var times = [("", try watch.seconds { _ = try forward() }, cost.forward)]
    guard timed.timesBackward, let ofBackward = cost.backward else { return times }
    let outcome = try operatorCase.apply(inputs)
    guard let backward = outcome.backward else { return times }
    let dOutputs = try outcome.outputs.map { try numbers($0.shape, seed: 4, on: watch.engine) as Tensor<CUDA> }
    times.append((", backward", try watch.seconds { _ = try backward(dOutputs) }, ofBackward))
    return times
  }

  /// The speed, as a fraction of the limit that determines the time.
  private static func rate(
    _ cost: OperatorCost.Pass, _ isArithmetic: Bool, _ seconds: Double, _ limits: (copies: Double, products: Double)
  ) -> String {
    if isArithmetic {
      let rate = cost.operations / seconds
      return String(format: ", %.1f TFLOP/s", rate / 1e12)
        + " (\(Amount.share(rate / limits.products)) of a large product)"
    }
    let rate = cost.bytes / seconds
    return String(format: ", %.0f GB/s", rate / 1e9) + " (\(Amount.share(rate / limits.copies)) of copying)"
  }
}
