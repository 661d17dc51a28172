// `mvar edit`: the tokens and pixels that are kept, what is drawn, what is shown, with the tiny models.

import Foundation
import MVARCheckpoints
import MVARMedia
import MVARTestSupport
import Testing

@Suite("mvar edit") struct EditCommandTests {
  private static let photo = Fixtures.path("photos/chelsea.png")
  private static let side = 128
  private static let sides = [1, 2, 3, 4, 6, 8]

  @discardableResult
  private func succeed(_ arguments: [String], in folder: String) throws -> BuiltProgram.Result {
    let result = try Tool.run(arguments, in: folder)
    #expect(result.code == 0, "\(arguments): \(result.errors)")
    return result
  }

  /// The arguments that edit with the tiny models.
  private func edit(_ more: [String], photo: String = "photo.png") -> [String] {
    ["edit", photo, "--model", Tool.model, "--tokenizer", Tool.tokenizer] + Tool.hints + more
  }

  /// A photograph of the tokenizer's size and its tokens.
  private func writePhoto(_ folder: String) throws -> (image: PixelImage, tokens: [Int]) {
    let image = try PixelImage.load(Self.photo).centerCrop(Self.side)
    try image.writePNG(to: "\(folder)/photo.png")
    return (image, try tokens(of: "photo.png", in: folder))
  }

  private func tokens(of image: String, in folder: String) throws -> [Int] {
    try succeed(["encode", image, "--tokenizer", Tool.tokenizer, "-o", "encoded.npz"] + Tool.scales, in: folder)
    return try #require(Checkpoint.open("\(folder)/encoded.npz")["moments_gt"]).integers()
  }

  /// The tokens of each candidate.
  private func candidates(_ path: String) throws -> [[Int]] {
    let stored = try #require(Checkpoint.open(path)["tokens"])
    let all = try stored.integers()
    return (0..<stored.shape[0]).map { Array(all[$0 * 130..<($0 + 1) * 130]) }
  }

  private func writeMask(_ path: String, side: Int = side, isWhite: (_ row: Int, _ column: Int) -> Bool) throws {
    var mask = try PixelImage(width: side, height: side, filledWith: .black)
    for row in 0..<side {
      for column in 0..<side where isWhite(row, column) { mask[row: row, column: column] = .white }
    }
    try mask.writePNG(to: path)
  }

  private func bytes(_ path: String) throws -> [UInt8] { try [UInt8](Data(contentsOf: URL(filePath: path))) }

  /// The positions of all tokens with the share of their cell that lies in some columns of the image.
  private func shares(of columns: Range<Int>) -> [Double] {
    Self.sides.flatMap { side -> [Double] in
      let row = (0..<side).map { cell -> Double in
        let (start, end) = (cell * Self.side / side, ((cell + 1) * Self.side + side - 1) / side)
        return Double((start..<end).clamped(to: columns).count) / Double(end - start)
      }
      return (0..<side).flatMap { _ in row }
    }
  }

  @Test("tokens outside the mask are the photograph's, with MVAR and with VAR", arguments: ["mvar", "var"])
  func outside(attention: String) throws {
    try withTemporaryFolder { folder in
      let (_, tokens) = try writePhoto(folder)
      try writeMask("\(folder)/mask.png") { $1 >= 64 }
      let ways: [(more: [String], threshold: Double, kept: Int)] = [
        ([], 1, 0), (["--mask-threshold", "0.5"], 0.5, 0), (["--mask-threshold", "0.1"], 0.1, 0),
        (["--keep-scales", "4"], 1, 30),
      ]
      for (more, threshold, kept) in ways {
        try succeed(
          edit(["--mask", "mask.png", "--class", "3", "--count", "3", "--tokens", "out.npz"] + more)
            + ["--attention", attention], in: folder)
        let found = try candidates("\(folder)/out.npz")
        #expect(found.count == 3 && Set(found).count == 3)
        for (place, share) in shares(of: 64..<128).enumerated() where share < threshold || place < kept {
          #expect(found.allSatisfy { $0[place] == tokens[place] }, "token \(place)")
        }
      }
    }
  }

  @Test("with everything masked the candidates are what is sampled")
  func everything() throws {
    try withTemporaryFolder { folder in
      _ = try writePhoto(folder)
      try writeMask("\(folder)/mask.png") { _, _ in true }
      let more = ["--class", "3", "--seed", "5", "--count", "2", "--first", "1", "--top-k", "20"]
      try succeed(edit(["--mask", "mask.png", "--tokens", "edit.npz", "--singles", "edit"] + more), in: folder)
      try succeed(Tool.sample(["--tokens", "sample.npz", "--singles", "sample"] + more), in: folder)
      #expect(try bytes("\(folder)/edit.npz") == bytes("\(folder)/sample.npz"))
      for number in 1...2 {
        #expect(
          try bytes("\(folder)/edit/00000\(number).png") == bytes("\(folder)/sample/00000\(number)-class3.png"))
      }
    }
  }

  @Test("candidates are the same whatever the batch, and stand beside the photograph and its mask")
  func shown() throws {
    try withTemporaryFolder { folder in
      let (photo, _) = try writePhoto(folder)
      try writeMask("\(folder)/mask.png") { row, _ in row < 40 }
      let more = ["--mask", "mask.png", "--count", "4", "--seed", "2"]
      let result = try succeed(edit(more + ["-o", "a.png", "--singles", "a", "--batch", "3"]), in: folder)
      #expect(result.output.split(separator: "\n").count == 5)
      #expect(result.errors.hasPrefix("4 candidates, "))
      try succeed(edit(more + ["-o", "b.png", "--batch", "1"]), in: folder)
      #expect(try bytes("\(folder)/a.png") == bytes("\(folder)/b.png"))

      let singles = try (0..<4).map { try PixelImage.load("\(folder)/a/00000\($0).png") }
      let image = try PixelImage.load("\(folder)/a.png")
      let tiles = try (0..<6).map { try tile($0, of: image) }
      #expect(tiles[0] == photo && Array(tiles[2...]) == singles)
      // Only the masked rows are tinted.
      for row in 0..<Self.side {
        let line = 3 * Self.side * row..<3 * Self.side * (row + 1)
        #expect((tiles[1].pixels[line] == photo.pixels[line]) == (row >= 40))
      }
      try succeed(edit(more + ["-o", "c.png", "--columns", "3"]), in: folder)
      let rows = try PixelImage.load("\(folder)/c.png")
      #expect(rows.width == 3 * 130 - 2 && rows.height == 2 * 130 - 2)
    }
  }

  /// One of several images in a row.
  private func tile(_ index: Int, of image: PixelImage) throws -> PixelImage {
    let left = index * (Self.side + 2)
    var bytes: [UInt8] = []
    for row in 0..<Self.side {
      let start = 3 * (row * image.width + left)
      bytes += image.pixels[start..<start + 3 * Self.side]
    }
    return try PixelImage(width: Self.side, height: Self.side, pixels: bytes)
  }

  @Test("pasted pixels are the photograph's")
  func pasting() throws {
    try withTemporaryFolder { folder in
      let (photo, _) = try writePhoto(folder)
      // Part of the tokens' cells only.
      try writeMask("\(folder)/mask.png") { row, column in row + column < 150 }
      try succeed(edit(["--mask", "mask.png", "--singles", "plain"]), in: folder)
      try succeed(edit(["--mask", "mask.png", "--singles", "pasted", "--paste"]), in: folder)
      let (plain, pasted) = (
        try PixelImage.load("\(folder)/plain/000000.png"), try PixelImage.load("\(folder)/pasted/000000.png")
      )
      #expect(plain != pasted)
      for row in 0..<Self.side {
        for column in 0..<Self.side {
          let source = row + column < 150 ? plain : photo
          #expect(pasted[row: row, column: column] == source[row: row, column: column])
        }
      }
    }
  }

  @Test("variations keep the coarse scales and nothing else")
  func variations() throws {
    try withTemporaryFolder { folder in
      let (_, tokens) = try writePhoto(folder)
      for scales in 1...5 {
        try succeed(
          edit(["--keep-scales", "\(scales)", "--count", "2", "--tokens", "out.npz"]), in: folder)
        let kept = Self.sides.prefix(scales).reduce(0) { $0 + $1 * $1 }
        for found in try candidates("\(folder)/out.npz") {
          #expect(found.prefix(kept) == tokens.prefix(kept))
          // Of the rest about one token in 64 is the same by chance.
          #expect(zip(found, tokens).dropFirst(kept).count { $0 != $1 } > (130 - kept) / 2)
        }
      }
      // Any size: the small picture is enlarged first.
      try succeed(["crop", "photo.png", "--size", "20", "-o", "small.png"], in: folder)
      let small = try self.tokens(of: "small.png", in: folder)
      try succeed(edit(["--keep-scales", "4", "--tokens", "out.npz"], photo: "small.png"), in: folder)
      #expect(try candidates("\(folder)/out.npz")[0].prefix(30) == small.prefix(30))
    }
  }

  @Test("out-painting keeps the photograph on its canvas", arguments: ["0,0,64,64", "0,0,50%,50%"])
  func extended(margins: String) throws {
    try withTemporaryFolder { folder in
      let (photo, _) = try writePhoto(folder)
      try succeed(
        edit(["--extend", margins, "-o", "out.png", "--tokens", "out.npz", "--class", "1"]), in: folder)
      // What the canvas should be: the border's pixels repeated.
      var canvas = try PixelImage(width: 192, height: 192, filledWith: .white)
      for row in 0..<192 {
        for column in 0..<192 {
          canvas[row: row, column: column] = photo[row: min(row, 127), column: min(column, 127)]
        }
      }
      let prepared = try canvas.centerCrop(Self.side)
      try prepared.writePNG(to: "\(folder)/canvas.png")
      #expect(try tile(0, of: PixelImage.load("\(folder)/out.png")) == prepared)
      let (found, expected) = (try candidates("\(folder)/out.npz")[0], try tokens(of: "canvas.png", in: folder))
      // 2/3 of the canvas are the photograph: of the last scale five rows and columns of eight, since of the sixth it has
      // a third.
      for row in 0..<8 {
        for column in 0..<8 where row < 5 && column < 5 {
          #expect(found[66 + 8 * row + column] == expected[66 + 8 * row + column])
        }
      }
      #expect(found != expected)
    }
  }

  @Test("a mask may be combined with a larger canvas and has the photograph's size")
  func extendedMask() throws {
    try withTemporaryFolder { folder in
      let (photo, _) = try writePhoto(folder)
      try writeMask("\(folder)/mask.png") { row, column in row < 32 && column < 32 }
      try succeed(
        edit(["--extend", "128,128,0,0", "--mask", "mask.png", "-o", "out.png", "--paste"]), in: folder)
      let image = try PixelImage.load("\(folder)/out.png")
      let (prepared, marked) = (try tile(0, of: image), try tile(1, of: image))
      // The photograph is the lower right quarter, of which the upper left sixteenth is masked.
      for row in 0..<128 {
        for column in 0..<128 {
          let isKept = row >= 64 && column >= 64 && !(row < 80 && column < 80)
          #expect((prepared[row: row, column: column] == marked[row: row, column: column]) == isKept)
        }
      }
      #expect(photo.width == 128)
    }
  }

  @Test("gray is divided at one half, by luminance; transparency is ignored")
  func luminance() throws {
    try withTemporaryFolder { folder in
      _ = try writePhoto(folder)
      var (mask, sharp) = (
        try PixelImage(width: 128, height: 128, filledWith: .black),
        try PixelImage(width: 128, height: 128, filledWith: .black)
      )
      // 0.587 · 219 = 128.6, 0.587 · 218 = 127.97; yellow is light and blue is dark.
      let colors: [(PixelImage.Color, Bool)] = [
        (.init(gray: 127), false), (.init(gray: 128), true), (.init(red: 0, green: 219, blue: 0), true),
        (.init(red: 0, green: 218, blue: 0), false), (.init(red: 255, green: 255, blue: 0), true),
        (.init(red: 0, green: 0, blue: 255), false), (.init(red: 255, green: 0, blue: 0), false), (.white, true),
      ]
      for row in 0..<128 {
        for column in 0..<128 {
          mask[row: row, column: column] = colors[column / 16].0
          if colors[column / 16].1 { sharp[row: row, column: column] = .white }
        }
      }
      try mask.writePNG(to: "\(folder)/gray.png")
      try sharp.writePNG(to: "\(folder)/sharp.png")
      for name in ["gray", "sharp"] {
        try succeed(edit(["--mask", "\(name).png", "-o", "\(name)-out.png"]), in: folder)
      }
      #expect(try bytes("\(folder)/gray-out.png") == bytes("\(folder)/sharp-out.png"))
    }
  }

  @Test("the shipped model edits without being named, in every precision")
  func shipped() throws {
    try withTemporaryFolder { folder in
      try PixelImage.load(Self.photo).writePNG(to: "\(folder)/photo.png")
      let photo = try PixelImage.load(Self.photo)
      var mask = try PixelImage(width: photo.width, height: photo.height, filledWith: .black)
      for row in 0..<photo.height {
        for column in photo.width / 2..<photo.width { mask[row: row, column: column] = .white }
      }
      try mask.writePNG(to: "\(folder)/mask.png")
      var found: [[UInt8]] = []
      for precision in ["float32", "bf16", "int8"] {
        try succeed(
          ["edit", "photo.png", "--mask", "mask.png", "--class", "animal", "--precision", precision]
            + ["-o", "\(precision).png"], in: folder)
        found.append(try bytes("\(folder)/\(precision).png"))
      }
      let image = try PixelImage.load("\(folder)/float32.png")
      #expect(image.width == 3 * 66 - 2 && image.height == 64)
      #expect(found[0] != found[2])
    }
  }
}
