// Times optimizer steps at the published d16 sizes with seeded weights: every segment of the cycle in turn.
//
//     TrainingStep BATCH STEPS [OPTION ...]   prints `segment FIRST LAST: SECONDS s` per step and the process's peak memory
//
// Options, as those of `mvar train`: --precision bf16, --recompute, --gradients bf16, --moments int8. The peer is `Fixtures/reference/timing.py train`;
// `Benchmarks/training-step` runs both in turn.

import Foundation
import MVAR
import MVARTraining
import TensorCore

/// What is trained, and how.
struct Setting {
  var batch = 0
  var steps = 0
  var isMixed = false
  var recomputes = false
  var storage = OptimizerStorage()

  /// The settings of a command line; nil if it has no such form.
  init?(_ arguments: [String]) {
    guard arguments.count >= 2, let batch = Int(arguments[0]), let steps = Int(arguments[1]), batch > 0, steps > 0
    else { return nil }
    (self.batch, self.steps) = (batch, steps)
    var rest = arguments[2...]
    while let name = rest.popFirst() {
      switch name {
      case "--recompute": recomputes = true
      case "--precision":
        guard let value = rest.popFirst(), ["float32", "bf16"].contains(value) else { return nil }
        isMixed = value == "bf16"
      case "--gradients":
        guard let format = rest.popFirst().flatMap(GradientFormat.init) else { return nil }
        storage.gradients = format
      case "--moments":
        guard let format = rest.popFirst().flatMap(MomentFormat.init) else { return nil }
        storage.moments = format
      default: return nil
      }
    }
  }

  /// Runs the steps on an engine.
  func run<Engine: Backend>(on engine: Engine.Type) throws where Engine.Device == HostDevice, Engine.Scalar == Float {
    let device = HostDevice()
    let configuration = TransformerConfiguration(depth: 16)
    let model = try MarkovianTransformer<Engine>(
      configuration, SeededSource(seed: 0, .transformer, on: device), on: device)
    let trainer = TransformerTrainer(
      model, regularization: Regularization(labelDrop: 0), storage: storage, recomputes: recomputes)
    let length = configuration.scaleList.length
    let stream = RandomStream(seed: 1, stream: 0)
    let tokens = (0..<batch * length).map { Int32(stream.uniform($0, purpose: .token) * 4096) }
    let inputs = (0..<batch * (length - 1) * 32).map {
      Float(2 * stream.uniform($0, purpose: .initialization) - 1)
    }
    let images = TokenBatch<Engine>(
      labels: (0..<batch).map { $0 * 37 % 1000 }, tokens: tokens,
      inputs: try Tensor(inputs, shape: [batch, length - 1, 32], on: device))
    let streams = (0..<batch).map { RandomStream(seed: 0, stream: UInt64($0)) }
    let clock = ContinuousClock()
    for scales in model.trajectory.segments {
      // The first step is a warm-up.
      for step in 0...steps {
        let start = clock.now
        let (losses, norm) = try trainer.step(images, segments: [scales], streams: streams, rate: 1e-5, decay: 0.05)
        let seconds = (clock.now - start) / .seconds(1)
        if step > 0 {
          print(
            "segment \(scales.lowerBound + 1) \(scales.upperBound): \(String(format: "%.2f", seconds)) s, "
              + "loss \(losses[0].weighted), norm \(norm)")
        }
      }
    }
  }
}

guard let setting = Setting(Array(CommandLine.arguments.dropFirst())) else {
  print("usage: TrainingStep BATCH STEPS [--precision bf16] [--recompute] [--gradients bf16] [--moments int8]")
  exit(64)
}
if setting.isMixed { try setting.run(on: MixedCPU.self) } else { try setting.run(on: CPU<Float>.self) }
var usage = rusage()
getrusage(0, &usage)  // RUSAGE_SELF, whose type differs between systems
print("peak memory \(usage.ru_maxrss / 1024) MiB")
