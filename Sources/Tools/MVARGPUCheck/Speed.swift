// `gpu-check speed`: how fast the device is with our kernels.

import ArgumentParser

struct Speed: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Time operators, attention and whole models on the device.",
    subcommands: [SpeedOfOperators.self, SpeedOfAttention.self, SpeedOfSampling.self, SpeedOfTraining.self])
}
