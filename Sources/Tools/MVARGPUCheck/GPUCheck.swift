// Checks the CUDA engine: whether its kernels compile, and on a GPU whether they are correct and how fast they are.
//
// Results go to standard output, progress to standard error. The exit status is 0, 1 when a check failed, 64 when the
// arguments are invalid, or 77 when what is to be checked is not on this machine.

import ArgumentParser
import MVARTool

/// The command `gpu-check`.
package struct GPUCheck: ParsableCommand {
  package static let configuration = CommandConfiguration(
    commandName: "gpu-check",
    abstract: "Check the CUDA engine of MVAR.",
    discussion: """
      This program also runs every command of `mvar`, as `gpu-check mvar …`: one file is enough on a machine where the \
      size of uploads matters.
      """,
    subcommands: [Kernels.self, Operators.self, Tokens.self, RanksOfGPUs.self, Limits.self, Speed.self, Report.self])

  /// No subcommand; the type where parsing starts.
  package init() {}

  /// Runs the program, and ends the process on failure.
  package static func start() {
    if CommandLine.arguments.dropFirst().first == "mvar" {
      MVARTool.start(after: ["mvar"])
    } else {
      main(Array(MVARTool.prepareProcess().dropFirst()))
    }
  }
}
