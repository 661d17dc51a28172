// Edits that make no sense: each is one sentence, and nothing is written.

import Foundation
import MVARMedia
import MVARTestSupport
import Testing

extension HostileInputTests {
  private static let extending =
    "write what to add at LEFT,TOP,RIGHT,BOTTOM, such as 0,64,0,64 or 25%,25%,25%,25%: pixels up to 65535, or whole percents "
    + "of its width and height"

  @Test("edits", arguments: edits)
  func edit(_ item: Case) throws { try check(item) }

  private static func edit(
    _ more: [String], _ sentence: String, code: Int32 = 1,
    mask: @escaping @Sendable () throws -> PixelImage = { try PixelImage(width: 40, height: 40, filledWith: .white) }
  ) -> Case {
    Case(
      more.joined(separator: " "),
      ["edit", "photo.png", "--model", Tool.model, "--tokenizer", Tool.tokenizer] + Tool.hints
        + (more.contains("-o") ? more : more + ["-o", "out.png"]), code, sentence
    ) { folder in
      try PixelImage(width: 40, height: 40, filledWith: .init(gray: 99)).writePNG(to: "\(folder)/photo.png")
      try mask().writePNG(to: "\(folder)/mask.png")
    }
  }

  /// 40 × 40 pixels of which some are white.
  private static func mask(_ isWhite: @escaping @Sendable (_ row: Int, _ column: Int) -> Bool)
    -> (@Sendable () throws -> PixelImage)
  {
    {
      var mask = try PixelImage(width: 40, height: 40, filledWith: .black)
      for row in 0..<40 {
        for column in 0..<40 where isWhite(row, column) { mask[row: row, column: column] = .white }
      }
      return mask
    }
  }

  static let edits: [Case] =
    [
      edit(
        ["--mask", "mask.png"],
        "mask.png: is 40 × 20 pixels, and photo.png has 40 × 40: a mask is as large as its image",
        mask: { try PixelImage(width: 40, height: 20, filledWith: .white) }),
      edit(
        ["--mask", "mask.png"],
        "mask.png: has no white pixel, so that nothing would be redrawn; transparency is ignored",
        mask: { try PixelImage(width: 40, height: 40, filledWith: .init(gray: 127)) }),
      edit(
        ["--mask", "mask.png", "--mask-threshold", "1"],
        "mask.png: no token's cell is white to a share of 1.0, so that nothing would be drawn; use a larger mask or a "
          + "smaller --mask-threshold",
        mask: mask { row, column in row == 20 && column == 20 }),
      edit(["--mask", "absent.png"], "absent.png: the file does not exist"),
      edit(["--mask", Tool.model], "\(Tool.model): is not an image: it begins like neither PNG nor JPEG"),
      edit(["--mask", "mask.png", "--class", "10"], "--class 10: this model has the classes 0 … 9"),
      edit(["--mask", "mask.png", "--class", "-1"], "--class -1: this model has the classes 0 … 9"),
      edit(
        ["--mask", "mask.png", "--class", "dog"],
        "--class dog: is not a number from 0 to 9; names need a file of names, given with --class-names"),
      edit(
        [], "nothing of the photograph would be kept: use --mask, --extend or --keep-scales from 1 up", code: 64),
      edit(
        ["--keep-scales", "0"],
        "nothing of the photograph would be kept: use --mask, --extend or --keep-scales from 1 up", code: 64),
      edit(["--keep-scales", "64"], "--keep-scales is 64; use a number from 0 to 63", code: 64),
      edit(["--keep-scales", "6"], "--keep-scales is 6, and the model has 6 scales: nothing would be drawn"),
      edit(
        ["--mask", "mask.png", "--keep-scales", "-1"], "--keep-scales is -1; use a number from 0 to 63", code: 64),
      edit(
        ["--mask", "mask.png", "--mask-threshold", "0"],
        "--mask-threshold is 0.0; use a share above 0 and up to 1", code: 64),
      edit(
        ["--mask", "mask.png", "--mask-threshold", "nan"],
        "--mask-threshold is nan; use a share above 0 and up to 1", code: 64),
      edit(["--mask", "mask.png", "--count", "0"], "--count is 0; use a number from 1 to 1000000", code: 64),
      edit(
        ["--mask", "mask.png", "--top-p", "2"], "top-p is 2.0; use 0 for no limit or a probability up to 1", code: 64),
      edit(
        ["--extend", "0,0,99999,0"],
        "--extend is \"0,0,99999,0\"; \(extending)",
        code: 64),
      edit(
        ["--extend", "0,0,1000%,0"],
        "photo.png: lies outside the middle square of its canvas, so that nothing would be kept"),
      edit(
        ["--extend", "0,0,60000%,60000%"],
        "the canvas: is 24040 × 24040 pixels, and the limit is 134217728 pixels in all"),
      edit(
        ["--extend", "65000,65000,0,0"],
        "the canvas: is 65040 × 65040 pixels, and the limit is 134217728 pixels in all"),
      edit(
        ["--extend", "65535,0,0,0"], "the canvas: is 65575 × 40 pixels, and the limit is 65535 a side"),
      edit(["--extend", "1%,0,0,0"], "--extend 1%,0,0,0 adds no pixel to a photograph of 40 × 40"),
      edit(
        ["--extend", "20,0,20,0"],
        "photo.png: is extended outside the middle square of its canvas only, so that nothing would be redrawn: "
          + "extend all four sides"),
      edit(
        ["--mask", "mask.png", "-o", "mask.png"],
        "mask.png: is the same file as the input mask.png, which would be lost"),
      edit(
        ["--mask", "mask.png", "-o", "photo.png"],
        "photo.png: is the same file as the input photo.png, which would be lost"),
      edit(["--mask", "mask.png", "-o", "out.jpg"], "out.jpg: the name of the output must end in .png"),
      edit(
        ["--mask", "mask.png", "--count", "1000000", "--singles", "many"],
        "one image of 1000002 images: is 1038 × 16250128 pixels, and the limit is 65535 a side"),
      Case(
        "no output", ["edit", "photo.png", "--keep-scales", "1"], 64,
        "nothing would be written: name an image with -o, or use --singles or --tokens"),
    ]
    + [
      ["1,2,3"], ["1,2,3,4,5"], ["0,0,0,0"], ["a,b,c,d"], ["-1,0,0,0"], ["1,,2,3"], [""], ["0%,0,0,0%"], ["1.5,0,0,0"],
    ].map {
      edit(
        ["--extend"] + $0,
        "--extend is \"\($0[0])\"; \(extending)",
        code: 64)
    }
}
