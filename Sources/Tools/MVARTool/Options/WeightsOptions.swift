// Which weights to use of a checkpoint file that holds several sets: a model and its moving average, for example.

import ArgumentParser
import MVARCheckpoints

/// The options that choose weights.
struct WeightsOptions: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Which set of weights in the checkpoint file, such as ema (mvar inspect lists them); \".\" for the top level.",
      discussion: "Default: the only one that fits."))
  var weights: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The prefix that a wrapper put before the names of the weights, such as model.",
      discussion: "Default: what precedes the names, if that is clear."))
  var prefix: String?

  func validate() throws { _ = try choice() }

  /// The options in the library's form.
  ///
  /// - Throws: `ValidationError` for an empty name.
  func choice() throws -> WeightsChoice {
    try WeightsChoice.of(("--weights", weights), ("--prefix", prefix))
  }
}

/// The options that choose a tokenizer's weights, where a transformer's are read too.
struct TokenizerWeightsOptions: ParsableArguments {
  @Option(parsing: .unconditional, help: "As --weights, for the tokenizer's file.")
  var tokenizerWeights: String?

  @Option(parsing: .unconditional, help: "As --prefix, for the tokenizer's file.")
  var tokenizerPrefix: String?

  func validate() throws { _ = try choice() }

  /// The options in the library's form.
  ///
  /// - Throws: `ValidationError` for an empty name.
  func choice() throws -> WeightsChoice {
    try WeightsChoice.of(("--tokenizer-weights", tokenizerWeights), ("--tokenizer-prefix", tokenizerPrefix))
  }
}

extension WeightsChoice {
  fileprivate static func of(_ name: (option: String, value: String?), _ prefix: (option: String, value: String?))
    throws
    -> WeightsChoice
  {
    for (option, value) in [name, prefix] where value?.isEmpty == true {
      throw ValidationError("\(option) is empty; name a set of weights, or \".\" for the top level")
    }
    return WeightsChoice(name: name.value, prefix: prefix.value)
  }
}
