// `mvar crop`: the middle square of an image, resized like the models' training data, byte for byte.

import ArgumentParser
import MVARMedia

struct Crop: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Cut out the middle square of an image and resize it.",
    discussion: "  mvar crop cat.jpg --size 256 -o cat.png")

  @Argument(help: "The image, PNG or JPEG.")
  var image: String

  @Option(parsing: .unconditional, help: "The side of the result in pixels.")
  var size: Int

  @Option(name: [.short, .long], parsing: .unconditional, help: "The image to write (.png).")
  var output: String

  @OptionGroup var photographs: PhotographOptions

  func validate() throws {
    do {
      try ImageLimits.check(width: size, height: size, of: "--size \(size): the crop")
    } catch {
      throw ValidationError("\(error)")
    }
  }

  func run() throws {
    try OutputFile.check(output, endings: [".png"], keeping: [image])
    try photographs.load(image).centerCrop(size).writePNG(to: output)
    try Console.print(output)
  }
}
