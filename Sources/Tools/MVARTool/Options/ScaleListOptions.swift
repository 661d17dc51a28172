// The options that determine the list of scales and which of them have windowed attention, for every subcommand that
// reads a transformer or reports on one.

import ArgumentParser
import MVAR

/// The list of scales, and where attention is windowed.
struct ScaleListOptions: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The list of scales, if no checkpoint specifies one.",
      discussion: """
        Sides of the token maps, coarse to fine. Default: the published list, for 256 pixels 1,2,3,4,5,6,8,10,13,16.
        """, valueName: "sides"))
  var patchNums: String?

  @Option(parsing: .unconditional, help: "The side of the attention window at the fine scales (default: 7).")
  var window: Int?

  @Option(
    parsing: .unconditional,
    help: "The first scale, counted from 0, with windowed attention (default: 8; the number of scales for none).")
  var refineStep: Int?

  func validate() throws { _ = try hints() }

  /// The options in the library's form.
  ///
  /// - Throws: `ValidationError` when a value is invalid.
  func hints() throws -> ModelHints {
    try Arguments.checkPositive("--window", window)
    if let refineStep, !(0...64).contains(refineStep) {
      throw ValidationError("--refine-step is \(refineStep); use a number from 0 to the number of scales")
    }
    return ModelHints(sides: try patchNums.map(Self.sides), window: window, refineStep: refineStep)
  }

  /// The list of scales in a text such as `1,2,3` or `1 2 3`.
  ///
  /// - Throws: `ValidationError` that names the option `--patch-nums`.
  static func sides(_ text: String) throws -> [Int] {
    let sides = try Arguments.numbers(text, option: "--patch-nums", example: "1,2,3,4,5,6,8,10,13,16")
    do {
      return try ScaleList(sides).sides
    } catch {
      throw ValidationError("--patch-nums: \(error)")
    }
  }
}
