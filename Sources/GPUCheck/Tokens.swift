// `gpu-check tokens`: with the same seed the device draws the same tokens as the CPU engine.
//
// Logits differ in their last digits, so two draws may once in a while fall on different sides of a boundary, and all later
// scales then differ. What counts is the first difference: up to there the logits must agree.

import ArgumentParser
import MVAR
import MVARCUDA
import TensorCore

struct Tokens: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Draw with the same seed on the device and on the CPU, and compare tokens and logits.")

  @OptionGroup var device: DeviceOptions
  @Option(help: "How many images.") var count = 4

  func run() throws {
    let scenario = try Scenario(isSmall: device.small)
    progress("drawing \(count) images on the CPU")
    let expected = try draw(scenario, HostDevice(), CPU<Float>.self)
    progress("drawing \(count) images on the device")
    let found = try draw(scenario, device.engine(), CUDA.self)
    let section = "The same seed on the device and on the CPU: \(scenario.name), \(count) images, float32"
    for (scale, (found, expected)) in zip(found, expected).enumerated() {
      let side = scenario.transformer.schedule.sides[scale]
      let size = expected.logits.map { abs(Double($0)) }.max() ?? 0
      let error = zip(found.logits, expected.logits).map { abs(Double($0) - Double($1)) }.max() ?? 0
      let different = zip(found.tokens, expected.tokens).count { $0 != $1 }
      let row = "scale \(scale + 1), \(side) × \(side)"
      Measurement(section, row, "tokens that differ", "\(different) of \(expected.tokens.count)").report()
      Measurement(section, row, "logits, relative error", Amount.error(error / size)).report()
      guard error <= 1e-3 * size else { throw Failure("the logits of scale \(scale + 1) differ by \(error)") }
      if different > 0 {
        Measurement(section, row, "", "a draw near a boundary: later scales are other pictures").report()
        guard different * 1000 <= expected.tokens.count + 1000 else {
          throw Failure("\(different) tokens of scale \(scale + 1) differ")
        }
        return
      }
    }
  }

  private func draw<B: Backend>(_ scenario: Scenario, _ device: B.Device, _ engine: B.Type) throws
    -> [(tokens: [Int], logits: [B.Scalar])]
  {
    let sampler: Sampler<B> = try scenario.makeSampler(on: device)
    var scales: [(tokens: [Int], logits: [B.Scalar])] = []
    let streams = (0..<count).map { RandomStream(seed: 1, stream: UInt64($0)) }
    _ = try sampler.sample(labels: scenario.labels(count), streams: streams, Scenario.options()) {
      scales.append((try $0.tokens.values(), try $0.logits.scalars()))
    }
    return scales
  }
}
