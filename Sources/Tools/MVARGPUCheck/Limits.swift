// `gpu-check limits`: the device's limits as far as they can be measured: copying, and our own largest product.

import ArgumentParser
import MVARCUDA
import TensorCore

struct Limits: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure how fast the device copies memory and multiplies large matrices.")

  @OptionGroup var device: DeviceOptions

  /// The title of the table, to which other programs add rows.
  static let section = "Limits of the device"

  func run() throws {
    for precision in device.precision {
      let engine = try device.engine(precision)
      let rates = Rates(engine: engine, isSmall: device.small)
      if precision == device.precision.first {
        let properties = engine.device.properties
        let text = "\(properties.name), \(properties.multiprocessorCount) multiprocessors, "
        Measurement(
          Self.section, "device", "here",
          text + "\(Amount.bytes(properties.memoryBytes)), compute capability \(properties.computeCapability)"
        ).report()
        Measurement(
          Self.section, "copying memory", "here", String(format: "%.0f GB/s", try rates.copying() / 1e9)
        ).report()
      }
      let row = "product of \(rates.side) × \(rates.side) matrices, \(precision.rawValue)"
      Measurement(
        Self.section, row, device.products == .own ? "here" : "here, \(device.products.rawValue)",
        String(format: "%.1f TFLOP/s", try rates.product() / 1e12)
      ).report()
    }
  }
}

/// What a device can do per second.
struct Rates {
  let engine: CUDAEngine
  let isSmall: Bool
  /// The side of a large product's matrices.
  var side: Int { isSmall ? 256 : 8192 }

  /// Bytes read and written by copying within the device.
  func copying() throws -> Double {
    let count = isSmall ? 1 << 16 : 1 << 28
    let pool = DeviceMemoryPool(engine.stream)
    let (target, source) = (try pool.makeBuffer(byteCount: count * 4), try pool.makeBuffer(byteCount: count * 4))
    try engine.stream.fill(source, word: 0, count: count)
    let seconds = try Stopwatch(engine: engine, once: isSmall).seconds {
      try engine.stream.copy(count * 4, from: source, to: target)
    }
    return Double(count * 8) / seconds
  }

  /// Operations of a product of large square matrices.
  func product() throws -> Double {
    let x: Tensor<CUDA> = try numbers([side, side], on: engine)
    let seconds = try Stopwatch(engine: engine, once: isSmall).seconds { _ = CUDA.linear(x, weight: x, bias: nil) }
    return 2 * Double(side) * Double(side) * Double(side) / seconds
  }
}
