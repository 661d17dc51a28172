// The options for reading a labeled set of images, for every subcommand that reads one.

import ArgumentParser
import MVARTraining

extension BadFilePolicy: ExpressibleByArgument {}

/// Which images of a folder are read, and which of them are held out.
struct DatasetOptions: ParsableArguments {
  @Option(parsing: .unconditional, help: "What to do about images that cannot be read: refuse or skip.")
  var badFiles = BadFilePolicy.refuse

  @Option(
    parsing: .unconditional,
    help:
      "Without val/, one in this many images of each class is held out of training (0: none, and nothing is validated)."
  )
  var heldOut = 10

  func validate() throws { try Arguments.check("--held-out", heldOut, in: 0...1000) }

  /// Reads a folder of images.
  ///
  /// - Parameter side: the side of the resized images, in pixels.
  func images(in folder: String, side: Int, _ progress: Progress) throws -> LabeledImages {
    try LabeledImages(
      path: folder, side: side, badFiles: badFiles, heldOut: heldOut,
      onProblem: { Console.note("skipped \($0)") },
      onProgress: { done, all in progress.report("reading image \(done) of \(all)") })
  }
}
