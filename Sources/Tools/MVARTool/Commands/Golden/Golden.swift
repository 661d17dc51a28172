// `mvar golden`: everything about golden values, one file for each subcommand.

import ArgumentParser

struct Golden: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Golden values: judge engines and kernels by them, and compare files.",
    subcommands: [List.self, Make.self, Check.self, Diff.self])
}
