// The commands of an article: the lines of its `sh` blocks, run by a shell in which `Scripts/mvar` is the built program. A line
// that ends with `# status N` must end with that status.

import Foundation
import MVARTestSupport
import Testing

/// A line of a `sh` block.
struct Commands: Sendable {
  /// The line, without its status.
  let line: String
  /// The exit status it must have.
  let status: Int32

  /// The commands of a text, in order; lines that end with a backslash are joined.
  static func of(_ text: String) -> [Commands] {
    text.components(separatedBy: "```sh\n").dropFirst().flatMap { block in
      block.components(separatedBy: "```")[0].replacing(/\\\n\s*/, with: " ").split(separator: "\n")
        .filter { !$0.hasPrefix("#") }
        .map { line in
          let status = line.firstMatch(of: /\s*# status (\d+)$/)
          return Commands(
            line: String(line[..<(status?.range.lowerBound ?? line.endIndex)]),
            status: status.flatMap { Int32($0.1) } ?? 0)
        }
    }
  }

  /// Runs the command.
  func run(in folder: String) throws -> Tool.Result {
    // Not at the beginning of a line only: `Scripts/mvar` is a word.
    try Tool.shell(line.replacing(/(^|\s)Scripts\/mvar(?=\s)/) { "\($0.1)\"$MVAR\"" }, in: folder)
  }
}
