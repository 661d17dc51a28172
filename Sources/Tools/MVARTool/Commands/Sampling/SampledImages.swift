// Where the results of `mvar sample` go: single images as soon as they are ready, one image of all and the tokens at
// the end. It samples and decodes nothing.

import MVARMedia

/// The images and tokens of a run.
struct SampledImages {
  let command: Sample
  let labels: [Int]
  var tokens: [[Int]] = []
  private var rows: [[PixelImage]] = []

  init(command: Sample, labels: [Int]) {
    self.command = command
    self.labels = labels
  }

  /// Whether a file name is of the form that single images have: `000012-class3.png`.
  static func isName(_ name: String) -> Bool { (try? #/[0-9]{6,}-class[0-9]+\.png/#.wholeMatch(in: name)) != nil }

  /// Adds the images of one sample: after each scale, or after the last only.
  mutating func add(_ shown: [PixelImage], index: Int) throws {
    if let folder = command.singles {
      let number = String(command.first + index)
      let name = String(repeating: "0", count: max(6 - number.count, 0)) + number
      let path = "\(folder)/\(name)-class\(labels[index]).png"
      try ImageGrid().rows([shown]).writePNG(to: path)
      try Console.print(path)
    }
    if command.output != nil { rows.append(shown) }
  }

  /// Writes the files that are complete only at the end.
  func write() throws {
    if let path = command.output {
      let image =
        try command.scales
        ? ImageGrid().rows(rows)
        : ImageGrid().grid(
          rows.map { $0[0] }, columns: command.grid.columns ?? (command.classes.count == 1 ? nil : command.count))
      try image.writePNG(to: path)
      try Console.print(path)
    }
    if let path = command.tokens {
      try TokenFile.write(tokens, labels: labels, to: path)
      try Console.print(path)
    }
  }
}
