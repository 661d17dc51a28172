// The options for reading a labeled set of images, for every subcommand that reads one.

import ArgumentParser
import MVARMedia
import MVARTraining

extension BadFilePolicy: ExpressibleByArgument {}
extension ExifPolicy: ExpressibleByArgument {}

/// How photographs are read.
struct PhotographOptions: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "What to do about the orientation in a photograph's metadata: ignore or apply.",
      discussion: "The published models were trained on images as they are stored."))
  var exif = ExifPolicy.ignore

  /// Reads an image, and says what is noteworthy about it.
  func load(_ path: String) throws -> PixelImage {
    var notes = ImageNotes()
    let image = try load(path, &notes)
    tell(notes)
    return image
  }

  /// Reads one of several images.
  func load(_ path: String, _ notes: inout ImageNotes) throws -> PixelImage {
    let loaded = try LoadedImage.load(path)
    notes.add(loaded, name: path)
    return loaded.image(exif)
  }

  /// Says what was noteworthy about several images.
  func tell(_ notes: ImageNotes) { notes.sentences(exif).forEach(Console.note) }
}

/// Which images of a folder are read, and which of them are held out.
struct DatasetOptions: ParsableArguments {
  @Option(
    parsing: .unconditional, help: "What to do about images that cannot be read, of other formats too: refuse or skip.")
  var badFiles = BadFilePolicy.refuse

  @Option(
    parsing: .unconditional,
    help:
      "Without val/, one in this many images of each class is held out of training (0: none, and nothing is validated)."
  )
  var heldOut = 10

  @OptionGroup var photographs: PhotographOptions

  func validate() throws { try Arguments.check("--held-out", heldOut, in: 0...1000) }

  /// Reads a folder of images.
  ///
  /// - Parameter side: the side of the resized images, in pixels.
  func images(in folder: String, side: Int, _ progress: Progress) throws -> LabeledImages {
    try LabeledImages(
      path: folder, side: side, badFiles: badFiles, heldOut: heldOut, exif: photographs.exif,
      onProblem: { Console.note("skipped \($0)") }, onNote: { Console.note("\(folder): \($0)") },
      onProgress: { done, all in progress.report("reading image \(done) of \(all)") })
  }
}
