// Checks the CUDA engine: whether its kernels compile, and on a GPU whether they are right and how fast they are.
//
// Results go to standard output, progress to standard error. The exit status is 0, 1 when a check failed, or 64 when the
// arguments make no sense.

import ArgumentParser

/// The command `gpu-check`.
@main
struct GPUCheck: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "gpu-check",
    abstract: "Check the CUDA engine of MVAR.",
    subcommands: [Kernels.self, Operators.self, Tokens.self, Limits.self, Speed.self, Report.self])
}
