// `gpu-check speed operators`: how close each operator comes to the device's limits, at the sizes of d16 with 32 images
// under guidance.

import ArgumentParser
import MVARCUDA
import TensorCore

struct SpeedOfOperators: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "operators", abstract: "Time every operator, as a share of the device's limits.")

  @OptionGroup var device: DeviceOptions

  /// The title of the table, which other programs add to.
  static func section(_ sizes: OperatorSizes) -> String {
    "Operators at the sizes of d16: \(sizes.batch) rows of a batch, maps of \(sizes.side) × \(sizes.side)"
  }

  func run() throws {
    let sizes = OperatorSizes(isSmall: device.small)
    for precision in device.precision {
      progress("operators in \(precision.rawValue)")
      let engine = try device.engine(precision)
      let rates = Rates(engine: engine, isSmall: device.small)
      let (copyRate, productRate) = (try rates.copying(), try rates.product())
      let watch = Stopwatch(engine: engine, once: device.small)
      for work in try OperatorWork.all(sizes, on: engine)
      where work.dependsOnPrecision || precision == device.precision.first && device.products == .own {
        let seconds = try watch.seconds(work.run)
        var text = Amount.time(seconds)
        if work.operations > 0 {
          let rate = work.operations / seconds
          text += String(format: ", %.1f TFLOP/s", rate / 1e12)
          text += " (\(Amount.share(rate / productRate)) of a large product)"
        } else if work.bytes > 0 {
          let rate = work.bytes / seconds
          text += String(format: ", %.0f GB/s", rate / 1e9) + " (\(Amount.share(rate / copyRate)) of copying)"
        }
        Measurement(Self.section(sizes), work.name, device.column(precision), text).report()
      }
    }
  }
}
