// Checks the CUDA engine: whether its kernels compile, and on a GPU whether they are right and how fast they are.
//
// Results go to standard output, progress to standard error. The exit status is 0, 1 when a check failed, or 64 when the
// arguments make no sense.

import ArgumentParser
import MVARTool

/// The command `gpu-check`.
package struct GPUCheck: ParsableCommand {
  package static let configuration = CommandConfiguration(
    commandName: "gpu-check",
    abstract: "Check the CUDA engine of MVAR.",
    discussion: """
      Everything that `mvar` does, this program does as `gpu-check mvar …`: one file serves a machine where every mebibyte \
      has to be carried.
      """,
    subcommands: [Kernels.self, Operators.self, Tokens.self, Limits.self, Speed.self, Report.self])

  /// No subcommand; what the parser begins with.
  package init() {}

  /// Runs the program, and ends the process when that fails.
  package static func start() {
    if CommandLine.arguments.dropFirst().first == "mvar" {
      MVARTool.start(after: ["mvar"])
    } else {
      main()
    }
  }
}
