// Times optimizer steps at the published d16 sizes with seeded weights: every segment of the cycle in turn.
//
//     TrainingStep BATCH STEPS      prints `segment FIRST LAST: SECONDS s` per step and the process's peak memory
//
// The peer is `Fixtures/reference/timing.py train`; `Benchmarks/training-step` runs both in turn.

import Foundation
import MVAR
import MVARTraining
import TensorCore

typealias Engine = CPU<Float>

let numbers = CommandLine.arguments.dropFirst().compactMap { Int($0) }
guard numbers.count == 2, numbers.allSatisfy({ $0 > 0 }) else {
  print("usage: TrainingStep BATCH STEPS")
  exit(64)
}
let (batchSize, steps) = (numbers[0], numbers[1])
let device = HostDevice()
let configuration = TransformerConfiguration(depth: 16)
let model = try MarkovianTransformer<Engine>(
  configuration, SeededSource(seed: 0, .transformer, on: device), on: device)
let trainer = TransformerTrainer(model, regularization: Regularization(labelDrop: 0))
let length = configuration.scaleList.length
let stream = RandomStream(seed: 1, stream: 0)
let tokens = (0..<batchSize * length).map { Int32(stream.uniform($0, purpose: .token) * 4096) }
let inputs = (0..<batchSize * (length - 1) * 32).map {
  Float(2 * stream.uniform($0, purpose: .initialization) - 1)
}
let batch = TokenBatch<Engine>(
  labels: (0..<batchSize).map { $0 * 37 % 1000 }, tokens: tokens,
  inputs: try Tensor(inputs, shape: [batchSize, length - 1, 32], on: device))
let streams = (0..<batchSize).map { RandomStream(seed: 0, stream: UInt64($0)) }
let clock = ContinuousClock()
for scales in model.trajectory.segments {
  // The first step is a warm-up.
  for step in 0...steps {
    let start = clock.now
    let (losses, norm) = try trainer.step(batch, segments: [scales], streams: streams, rate: 1e-5, decay: 0.05)
    let seconds = (clock.now - start) / .seconds(1)
    if step > 0 {
      print(
        "segment \(scales.lowerBound + 1) \(scales.upperBound): \(String(format: "%.2f", seconds)) s, "
          + "loss \(losses[0].weighted), norm \(norm)")
    }
  }
}
var usage = rusage()
getrusage(0, &usage)  // RUSAGE_SELF, whose type differs between systems
print("peak memory \(usage.ru_maxrss / 1024) MiB")
