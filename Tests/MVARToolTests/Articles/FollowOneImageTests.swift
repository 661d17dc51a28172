// The tables and pictures of the article "Follow one image": from the command that the article shows, with a tolerance,
// since processors add in different orders.

import Foundation
import MVARCheckpoints
import MVARMedia
import MVARTestSupport
import Testing

@Suite("Follow one image")
struct FollowOneImageTests {
  private let article = Article("FollowOneImage")
  private static let sides = [1, 2, 3, 4, 5, 6, 8, 10, 13, 16]

  /// The tensors of a dump.
  private struct Dump {
    let file: Checkpoint

    func values(_ name: String) throws -> (shape: [Int], values: [Double]) {
      let tensor = try #require(file[name], "\(name)")
      return (tensor.shape, try tensor.doubles())
    }

    /// `| name | what it is | shape | least | mean | largest |`; −∞ is left out of least and mean.
    func rows(_ names: [(name: String, words: String)]) throws -> String {
      Article.table(
        [["name", "what it is", "shape", "least", "mean", "largest"]]
          + (try names.map { name, words in
            let (shape, values) = try values(name)
            let finite = values.filter(\.isFinite)
            let mean = finite.reduce(0, +) / Double(finite.count)
            let numbers = [finite.min()!, mean, finite.max()!].map { String(format: "%.2f", $0) }
              .map { $0 == "-0.00" ? "0.00" : $0 }
            return ["`\(name)`", words, "[\(shape.map(String.init).joined(separator: ", "))]"] + numbers
          }))
    }
  }

  /// The commands of the article, run in a folder where its paths exist.
  private func run(_ folder: String) throws {
    for name in ["Sources", "Fixtures"] {
      try FileManager.default.createSymbolicLink(
        atPath: "\(folder)/\(name)",
        withDestinationPath: Article.package.appending(path: name).path(percentEncoded: false))
    }
    let commands = try Commands.of(article.text())
    #expect(commands.count == 2)
    for command in commands {
      let result = try command.run(in: folder)
      #expect(result.code == 0, "\(result.errors)")
      if command.line.contains("reconstruct") {
        let rows = result.output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        try article.expect(
          "reconstruct",
          Article.table([
            ["after scale"] + (0..<10).map(String.init), ["PSNR, dB"] + rows.dropFirst().map { $0[3] },
          ]), tolerance: 0.03)
      }
    }
  }

  @Test("every table is what the commands give")
  func tables() throws {
    try withTemporaryFolder { folder in
      try run(folder)
      let dump = Dump(file: try Checkpoint.open("\(folder)/dump.npz"))
      // Rounding moves a few values by a few percent where a token differs.
      func expect(_ part: String, _ text: String) throws { try article.expect(part, text, tolerance: 0.05) }
      try expect(
        "encode",
        try dump.rows([
          ("image", "pixels"), ("encoder.conv_in", "first convolution"), ("encoder.down.0.downsample", "half the side"),
          ("encoder.down.1.downsample", "a quarter"), ("encoder.mid.block_2", "after the middle"),
          ("encoder.conv_out", "the encoder's output"), ("quant_conv", "f"),
        ]))
      try quantize(dump, expect)
      try expect(
        "condition",
        try dump.rows([
          ("class_emb", "rows of the class and of the null class"), ("blocks.0.ada.gain1", "γ1 of the first block"),
          ("blocks.0.ada.scale1", "scale1"), ("blocks.0.ada.shift1", "shift1"),
          ("blocks.5.ada.gain1", "γ1 of the last block"),
          ("head_nm.scale", "scale of the head"),
        ]))
      let block = "scale.8.blocks.0"
      try expect(
        "block",
        try dump.rows([
          ("scale.8.input", "x₈"), ("scale.8.embedded", "x of the first block"),
          ("\(block).norm1", "LN(x)·(1 + scale1) + shift1"), ("\(block).qkv", "q, k and v in one product"),
          ("\(block).q", "q, normalized and scaled"), ("\(block).k", "k, normalized"), ("\(block).v", "v"),
          ("\(block).attention", "softmax(q kᵀ) v within windows"), ("\(block).proj", "its projection"),
          ("\(block).residual1", "x + γ1·that"), ("\(block).norm2", "LN(…)·(1 + scale2) + shift2"),
          ("\(block).fc1", "four times as wide"), ("\(block).gelu", "GELU"), ("\(block).fc2", "back to the width"),
          ("\(block).residual2", "x of the next block"),
        ]))
      try expect(
        "logits",
        try dump.rows([
          ("scale.8.head_nm", "after the last norm"), ("scale.8.logits", "of both rows"),
          ("scale.8.guided", "(1 + t)·class − t·null"), ("scale.8.filtered", "without −∞"),
          ("scale.8.tokens", "drawn"), ("scale.8.codes", "their codes"), ("scale.8.phi", "what they add to f̂"),
          ("scale.8.f_hat", "f̂"),
        ]))
      let left = try (0..<10).map { scale -> Double in
        let (shape, values) = try dump.values("scale.\(scale).filtered")
        return Double(values.count(where: \.isFinite)) / Double(shape[1])
      }
      // Two to seven codes, says the article on experiments.
      #expect(left.allSatisfy { (1.5..<7.5).contains($0) } && left.contains { $0 > 6.5 })
      let kept = left.map { String(format: "%.1f", $0) }
      try article.expect(
        "filter", Article.table([["scale"] + (0..<10).map(String.init), ["codes left"] + kept]), tolerance: 0.2)
      try expect(
        "decode",
        try dump.rows([
          ("post_quant_conv", "the decoder's input"), ("decoder.mid.block_2", "after the middle"),
          ("decoder.up.1.upsample", "twice the side"), ("decoder.up.0.block.1", "the finest level"),
          ("decoder.conv_out", "pixels before the clamp"), ("image01", "clamped, 0 … 1"),
        ]))
      try pictures(dump, folder)
    }
  }

  private func quantize(_ dump: Dump, _ expect: (String, String) throws -> Void) throws {
    var rows = [
      ["scale", "side", "tokens", "deviation of the remainder", "deviation of what is added", "different codes"]
    ]
    func deviation(_ values: [Double]) -> String {
      let mean = values.reduce(0, +) / Double(values.count)
      return String(
        format: "%.3f", (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)).squareRoot())
    }
    var rest = try dump.values("quant_conv").values
    for (scale, side) in Self.sides.enumerated() {
      let added = try dump.values("quantize.\(scale).phi").values
      let tokens = try dump.values("quantize.\(scale).tokens").values
      rows.append([
        "\(scale)", "\(side)", "\(tokens.count)", deviation(rest), deviation(added), "\(Set(tokens).count)",
      ])
      for index in rest.indices { rest[index] -= added[index] }
    }
    try expect("quantize", Article.table(rows))
    var lines: [String] = []
    for scale in 0..<4 {
      let tokens = try dump.values("quantize.\(scale).tokens").values.map { String(format: "%4d", Int($0)) }
      let side = Self.sides[scale]
      for row in 0..<side {
        lines.append(
          "    " + (row == 0 ? "scale \(scale) " : "        ") + tokens[row * side..<(row + 1) * side].joined())
      }
    }
    try expect("tokens", lines.joined(separator: "\n"))
  }

  /// The growing image, and the sampled one: nearly the same pixels.
  private func pictures(_ dump: Dump, _ folder: String) throws {
    let (shape, values) = try dump.values("image01")
    let (height, width) = (shape[2], shape[3])
    var sampled = try PixelImage(width: width, height: height, filledWith: .white)
    for row in 0..<height {
      for column in 0..<width {
        let bytes = (0..<3).map { UInt8(255 * values[($0 * height + row) * width + column]) }
        sampled[row: row, column: column] = .init(red: bytes[0], green: bytes[1], blue: bytes[2])
      }
    }
    // The original and six of the ten scales; the file stays small.
    let all = try PixelImage.load("\(folder)/growing.png")
    let shownTiles = [0] + [0, 2, 4, 6, 8, 9].map { $0 + 1 }
    var growing = try PixelImage(width: 66 * shownTiles.count - 2, height: 64, filledWith: .white)
    for (place, tile) in shownTiles.enumerated() {
      for row in 0..<64 {
        for column in 0..<64 {
          growing[row: row, column: 66 * place + column] = all[row: row, column: 66 * tile + column]
        }
      }
    }
    for (name, image) in [("growing", growing), ("sampled", sampled)] {
      let path = Article.package.appending(path: "Sources/MVAR/MVAR.docc/\(name).png").path(percentEncoded: false)
      if Article.isWriting {
        try image.writePNG(to: path)
        continue
      }
      let shown = try PixelImage.load(path)
      #expect(shown.width == image.width && shown.height == image.height)
      let distance = zip(shown.pixels, image.pixels).reduce(0.0) { $0 + abs(Double($1.0) - Double($1.1)) }
      #expect(distance / Double(image.pixels.count) < 4, "\(name).png")
    }
  }
}
