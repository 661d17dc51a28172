// `mvar golden make`: golden files that we compute ourselves.

import ArgumentParser

extension Golden {
  struct Make: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Make a golden file.")

    @Option(name: [.short, .long], parsing: .unconditional, help: "The file to write (.safetensors).")
    var output: String

    @Option(parsing: .unconditional, help: "The seed; 0 to 2⁶⁴ − 1.", transform: Arguments.seed)
    var seed: UInt64 = 0

    @OptionGroup(title: "Files of models")
    var models: ModelFileOptions

    func run() throws { try models.run(seed: seed, output: output) }
  }
}
