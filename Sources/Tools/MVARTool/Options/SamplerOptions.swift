// The options that determine how tokens are sampled: guidance and the filters of logits. Each subcommand that samples
// has its own defaults, represented by a type, so that the help can state them.

import ArgumentParser
import MVAR
import MVARPipeline

/// How a subcommand samples unless its options specify otherwise.
protocol SamplingDefaults: Sendable {
  /// With a specified model.
  static var named: SamplingValues { get }
  /// With the model that ships with the package; nil where a model is always specified.
  static var shipped: SamplingValues? { get }
  /// The help of `--cfg`.
  static var guidanceHelp: String { get }
}

extension SamplingDefaults {
  /// A model is always specified.
  static var shipped: SamplingValues? { nil }
  /// The help where sampling without guidance is possible.
  static var guidanceHelp: String {
    "Strength of classifier-free guidance; 1 for none, but VAR is guided even then."
  }

  /// The help of an option, with its defaults.
  static func help<Value>(_ abstract: String, _ value: KeyPath<SamplingValues, Value>) -> ArgumentHelp {
    let exception = shipped.map { "; the shipped model: \($0[keyPath: value])" } ?? ""
    return ArgumentHelp(abstract, discussion: "Default: \(named[keyPath: value])\(exception).")
  }
}

/// How tokens are sampled.
struct SamplerOptions<Defaults: SamplingDefaults>: ParsableArguments {
  @Option(parsing: .unconditional, help: Defaults.help(Defaults.guidanceHelp, \.guidance))
  var cfg: Double?

  @Option(
    parsing: .unconditional, help: Defaults.help("Sample from the k most likely tokens only; 0 for no limit.", \.topK))
  var topK: Int?

  @Option(
    parsing: .unconditional,
    help: Defaults.help("Sample from the most likely tokens with this total probability; 0 for no limit.", \.topP))
  var topP: Double?

  func validate() throws { _ = try options() }

  /// The options in the library's form.
  ///
  /// - Parameters:
  ///   - isShipped: whether the model that ships with the package samples.
  ///   - smooth: whether codes are mixed instead of sampled.
  /// - Throws: `ValidationError` when a value is invalid.
  func options(isShipped: Bool = false, smooth: Bool = false) throws -> SamplingOptions {
    let defaults = (isShipped ? Defaults.shipped : nil) ?? Defaults.named
    do {
      return try SamplingOptions(
        guidance: cfg ?? defaults.guidance, topK: topK ?? defaults.topK, topP: topP ?? defaults.topP, smooth: smooth)
    } catch {
      throw ValidationError("\(error)")
    }
  }

  /// The same options without guidance.
  func unguided(_ options: SamplingOptions) -> SamplingOptions {
    var options = options
    options.guidance = 1
    return options
  }
}
