// Where the results of `mvar edit` go: single candidates as soon as they are ready; at the end one image, in which they
// stand beside the photograph and its mask, and the tokens. It samples and decodes nothing.

import MVAR
import MVARFiles
import MVARMedia
import MVARPipeline

/// The candidates of a run.
struct EditedImages {
  private let command: Edit
  private let edit: ImageEdit
  private let label: Int
  private var shown: [PixelImage]
  private var tokens: [[Int]] = []

  /// The results of a run, of which there are none yet.
  ///
  /// - Throws: `FileError` or `Failure` when they could not be written.
  init(command: Edit, edit: ImageEdit, label: Int) throws {
    (self.command, self.edit, self.label) = (command, edit, label)
    shown = [edit.image, edit.marked]
    let (side, gap) = (edit.image.width, ImageGrid().gap)
    let count = command.count + 2
    if command.output != nil {
      let rows = (count + columns - 1) / columns
      try ImageLimits.check(
        width: min(columns, count) * (side + gap) - gap, height: rows * (side + gap) - gap,
        of: "one image of \(count) images")
    }
    if let folder = command.singles { try OutputFile.makeFolder(folder) }
  }

  private var columns: Int { command.columns ?? 8 }

  /// Whether a file name is of the form that single candidates have: `000012.png`.
  static func isName(_ name: String) -> Bool { (try? #/[0-9]{6,}\.png/#.wholeMatch(in: name)) != nil }

  /// Refuses inputs that a single candidate would replace.
  static func checkInputs(_ inputs: [String], apartFrom folder: String) throws {
    for path in inputs { try OutputFile.checkApart(path, fromFolder: folder, isName) }
  }

  /// Adds the tokens of several candidates.
  ///
  /// - Parameter sampled: of each scale, [B · p²]; none if they are not wanted.
  mutating func add(tokens sampled: [[Int]], of count: Int) throws {
    guard !sampled.isEmpty else { return }
    for row in 0..<count {
      tokens.append(sampled.flatMap { $0[row * ($0.count / count)..<(row + 1) * ($0.count / count)] })
    }
  }

  /// Adds a candidate.
  mutating func add(_ image: PixelImage, index: Int) throws {
    let result = command.paste ? try edit.pasted(into: image) : image
    if let folder = command.singles {
      let number = String(command.first + index)
      let path = "\(folder)/\(String(repeating: "0", count: max(6 - number.count, 0)))\(number).png"
      try result.writePNG(to: path)
      try Console.print(path)
    }
    if command.output != nil { shown.append(result) }
  }

  /// Writes the files that are complete only at the end.
  func write() throws {
    if let path = command.output {
      try ImageGrid().grid(shown, columns: columns).writePNG(to: path)
      try Console.print(path)
    }
    if let path = command.tokens {
      try TokenFile.write(tokens, labels: [Int](repeating: label, count: tokens.count), to: path)
      try Console.print(path)
    }
  }
}
