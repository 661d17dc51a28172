// `mvar metrics`: two sets of images → FID, sFID, Inception score, precision and recall, as guided-diffusion's evaluator
// defines them. The options and what is printed; where features come from is in Metrics+Features.swift.

import ArgumentParser
import Foundation
import MVARCheckpoints
import MVARFiles
import MVARMetrics
import MVARTraining
import TensorCore

struct Metrics: EngineCommand {
  static let precisions = CPUPrecisions.float32Only("published values were computed in float32")

  static let configuration = CommandConfiguration(
    abstract: "Compare two sets of images: FID, sFID, Inception score, precision, recall.",
    discussion: """
      A set is an npz of images (arr_0, as mvar sample writes it), a folder of images or of classes, features, or statistics \
      of features (mu, sigma, mu_s, sigma_s), as in the reference batches of guided-diffusion. What the two sets do not \
      suffice for is left out, with the reason.

        mvar metrics samples.npz VIRTUAL_imagenet256_labeled.npz --inception pt_inception-2015-12-05-6726825d.pth

      The network's weights do not ship; --inception names a file of them, a PyTorch or safetensors file with the names of \
      torch-fidelity. Features can be kept, and are a set from then on:

        mvar metrics samples.npz reference.npz --inception pt_inception-2015-12-05-6726825d.pth --save-features features.npz
        mvar metrics features.npz other-features.npz

      For small images, --classifier trains a small network on a folder of classes, within a minute or two, and compares its \
      features. Such distances are no FID: they compare sets measured with the same classifier, and nothing else.

        mvar sample --total 480 -o emoji.npz
        mvar metrics emoji.npz Fixtures/emoji --classifier Fixtures/emoji
      """)

  @Argument(help: "The samples: an npz, or a folder of images.")
  var samples: String

  @Argument(help: "What they are compared with: an npz, or a folder of images.")
  var reference: String

  @Option(
    parsing: .unconditional,
    help: "The weights of the Inception network of 2015-12-05, a checkpoint file.")
  var inception: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "A folder of classes, as for mvar evaluate; a small classifier trained on it takes the network's place.",
      discussion: "Or the file of such a classifier, which --save-classifier wrote."))
  var classifier: String?

  @Option(parsing: .unconditional, help: "A file for the small classifier (.safetensors).")
  var saveClassifier: String?

  @Option(
    parsing: .unconditionalSingleValue,
    help: "The name of a class that is never mirrored for the classifier; may be given several times.")
  var neverFlip: [String] = []

  @OptionGroup var dataset: DatasetOptions

  @Flag(help: "Both files hold features: one matrix [images, features] of floating-point numbers, of any name.")
  var features = false

  @Flag(
    help: ArgumentHelp(
      "Divide the samples among the parts of the Inception score in a random order, always the same one.",
      discussion: "For samples that are in the order of their classes, of which a part of 5000 would have a few only."))
  var shuffle = false

  @Option(parsing: .unconditional, help: "A file for the features of the samples (.npz).")
  var saveFeatures: String?

  @Option(parsing: .unconditional, help: "A file for the features of the reference (.npz).")
  var saveReferenceFeatures: String?

  @Option(parsing: .unconditional, help: "A file for the results with all digits (.json).")
  var json: String?

  @Option(parsing: .unconditional, help: "How many images the network takes at once.")
  var batch = 8

  @OptionGroup(title: "Engine")
  var engine: EngineOptions

  func validate() throws {
    for (path, name) in [(samples, "SAMPLES"), (reference, "REFERENCE")] where path.isEmpty {
      throw ValidationError("\(name) is empty; name a file or a folder")
    }
    try Arguments.check("--batch", batch, in: 1...256)
    guard inception == nil || classifier == nil else {
      throw ValidationError("--inception and --classifier are two networks; use one of them")
    }
    guard !features || (inception == nil && classifier == nil) else {
      throw ValidationError("--features says that both files hold features, and a network needs images")
    }
    guard !features || (saveFeatures == nil && saveReferenceFeatures == nil) else {
      throw ValidationError("--features says that there is nothing to compute, so there is nothing to save")
    }
    guard classifier != nil || (saveClassifier == nil && neverFlip.isEmpty) else {
      throw ValidationError("--save-classifier and --never-flip are for --classifier, which is not given")
    }
    if inception?.isEmpty == true { throw ValidationError("--inception is empty; name a file") }
    if classifier?.isEmpty == true { throw ValidationError("--classifier is empty; name a folder") }
  }

  func checkOutputs() throws {
    let inputs = [samples, reference, inception, classifier].compactMap { $0 }
    let outputs = [
      (saveFeatures, ".npz"), (saveReferenceFeatures, ".npz"), (json, ".json"), (saveClassifier, ".safetensors"),
    ]
    for case (let path?, let ending) in outputs { try OutputFile.check(path, endings: [ending], keeping: inputs) }
    if let saveFeatures, let saveReferenceFeatures, OutputFile.areSame(saveFeatures, saveReferenceFeatures) {
      throw Failure("\(saveFeatures): is named by both --save-features and --save-reference-features")
    }
  }

  func run<B: Backend, D: EngineDevice>(on engine: B.Type, device: D) throws where B.Device == D {
    let progress = Progress()
    defer { progress.finish() }
    progress.report("reading \(samples) and \(reference)")
    var ours = try input(samples, progress)
    var theirs = try input(reference, side: imageSide(ours), progress)
    let network = try network(as: engine, on: device, side: imageSide(ours, theirs), progress)
    for (isReference, path) in [(false, saveFeatures), (true, saveReferenceFeatures)] {
      var side = isReference ? theirs : ours
      try addFeatures(to: &side, by: network, progress)
      if isReference { theirs = side } else { ours = side }
      if let path { try save(side, to: path) }
    }
    if let one = ours.network, let other = theirs.network, one != other {
      throw Failure("\(samples) and \(reference) hold features of networks with different weights")
    }
    let report = try MetricReport(samples: ours, references: theirs, shuffles: shuffle) { what, share in
      progress.report(what + (share.map { ": \(Int(100 * $0)) %" } ?? ""))
    }
    progress.finish()
    if !shuffle { noteOrder(ours) }
    if let json { try write(report, to: json) }
    try show(report)
    if [report.fid, report.sfid, report.inceptionScore, report.precision].allSatisfy({ $0.value == nil }) {
      throw Failure(report.fid.reason ?? "nothing could be computed")
    }
  }

  /// Says that the parts of the score are no random ones.
  private func noteOrder(_ input: MetricInput) {
    guard let logits = input.features.logits, logits.rows > InceptionScore.usualPart,
      let labels = try? Checkpoint.open(input.path)["arr_1"]?.integers(), labels.count == logits.rows,
      let first = labels.first, labels.contains(where: { $0 != first }), zip(labels, labels.dropFirst()).allSatisfy(<=)
    else { return }
    Console.note(
      "\(input.path): the images are in the order of their classes, so that each part of the Inception score has a few "
        + "classes only; with --shuffle it has all")
  }

  private func write(_ report: MetricReport, to path: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    let text = String(decoding: try encoder.encode(report), as: UTF8.self) + "\n"
    try AtomicFile.write(to: path) { try $0.write(text) }
  }

  /// One line for each measure.
  private func show(_ report: MetricReport) throws {
    let name = classifier == nil ? "FID" : "Fréchet distance of the classifier's features"
    let measures = [
      (name, report.fid, 4), ("sFID", report.sfid, 4), ("Inception score", report.inceptionScore, 4),
      ("precision", report.precision, 5), ("recall", report.recall, 5),
    ]
    // The classifier has neither spatial features nor a score.
    let shown = classifier == nil ? measures : [measures[0], measures[3], measures[4]]
    try Table.print(
      shown.map { name, measure, digits in
        [name, measure.value.map { String(format: "%.\(digits)f", $0) } ?? "–", measure.reason ?? ""]
      })
  }
}
