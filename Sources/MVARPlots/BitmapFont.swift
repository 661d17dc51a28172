// A small font of our own for printable ASCII: 5 × 7 dots a letter, two more rows for what hangs below the line.
//
// A letter is seven to nine digits of base 32, one a row from the top; a digit's bits are the row's dots from left to
// right. Letters are equally wide and drawn enlarged by a whole factor; there is no smoothing and no other script.

import MVARMedia

/// Draws text into images.
public enum BitmapFont {
  /// Dots from one letter to the next.
  public static let advance = 6
  /// Dots of a capital letter's height.
  public static let height = 7
  /// Dots below the line.
  public static let descent = 2

  private static let glyphs: [String] = """
    0000000 4444404 aa00000 aavavaa 4fke5u4 op248j3 cik8lid 4400000 2488842 8422248 04lel40 044v440 000000448 000e000
    0000004 01248g0 ehjlphe 4c4444e eh1248v v2421he 26aiv22 vgu11he 68guhhe v124888 ehhehhe ehhf12c 0040004 004000448
    248g842 00v0v00 8421248 eh12404 eh1dlle ehhvhhh uhhuhhu ehggghe sihhhis vgguggv vgguggg ehgnhhf hhhvhhh e44444e
    72222ic hikokih ggggggv hrllhhh hhpljhh ehhhhhe uhhuggg ehhhlid uhhukih fgge11u v444444 hhhhhhe hhhhha4 hhhllla
    hha4ahh hhha444 v1248gv e88888e 0g84210 e22222e 4ah0000 000000v 8400000 00e1fhf ggmphhu 00egghe 11djhhf 00ehvge
    698s888 00fhhhf1e ggmphhh 40c444e 2062222ic ggikoki c44444e 00qllhh 00mphhh 00ehhhe 00uhhhugg 00fhhhf11 00mpggg
    00fge1u 88s8896 00hhhjd 00hhha4 00hhlla 00ha4ah 00hhhhf1e 00v248v 2448442 4444444 8442448 008l200
    """.split(whereSeparator: \.isWhitespace).map(String.init)

  /// The rows of a letter; a box for one that the font lacks.
  package static func rows(_ letter: Character) -> [Int] {
    guard let code = letter.asciiValue, 32..<127 ~= code else { return [31, 17, 17, 17, 17, 17, 31] }
    return glyphs[Int(code) - 32].map { $0.wholeNumberValue ?? Int($0.asciiValue ?? 87) - 87 }
  }

  /// The width of a text in pixels.
  public static func width(of text: String, scale: Int) -> Int { max(text.count * advance - 1, 0) * scale }

  /// Draws text; what lies outside the image is left out.
  ///
  /// - Parameters:
  ///   - text: one line.
  ///   - image: the image to draw into.
  ///   - x: the left edge of the first letter; with `isRotated`, the edge where capital letters have their top.
  ///   - y: the top of capital letters; with `isRotated`, the lower edge, from which the text climbs.
  ///   - color: the ink.
  ///   - scale: pixels a dot.
  ///   - isRotated: whether the text reads from bottom to top.
  public static func draw(
    _ text: String, into image: inout PixelImage, x: Int, y: Int, color: PixelImage.Color, scale: Int = 1,
    isRotated: Bool = false
  ) {
    for (index, letter) in text.enumerated() {
      for (row, bits) in rows(letter).enumerated() {
        for column in 0..<5 where bits >> (4 - column) & 1 == 1 {
          let along = (index * advance + column) * scale
          for i in 0..<scale {
            for j in 0..<scale {
              let (px, py) = isRotated ? (x + row * scale + i, y - along - j) : (x + along + i, y + row * scale + j)
              if 0..<image.width ~= px && 0..<image.height ~= py { image[row: py, column: px] = color }
            }
          }
        }
      }
    }
  }
}
