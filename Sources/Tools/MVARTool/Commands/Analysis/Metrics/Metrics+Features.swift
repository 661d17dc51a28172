// Where the features of `mvar metrics` come from: a file, the Inception network, or a small classifier that is trained here.

import Foundation
import MVARFiles
import MVARMedia
import MVARMetrics
import MVARTraining
import TensorCore

/// A network that looks at images.
struct FeatureNetwork {
  /// The checksum of its weights.
  let checksum: UInt32
  /// The features of a set of images; receives a closure that hears how many are done.
  let features: (ImageSet, (Int) throws -> Void) throws -> ImageFeatures
}

extension Metrics {
  /// One side of the comparison.
  ///
  /// Images are taken as they are, except that a classifier sees those of a folder of classes as a training would: cropped.
  ///
  /// - Parameter side: the side of the other images; nil for that of its own.
  func input(_ path: String, side: Int? = nil, _ progress: Progress) throws -> MetricInput {
    guard !features, OutputFile.isFolder(path) else { return try MetricInput(path: path, holdsFeatures: features) }
    let cropped: Int
    if let tile = try LabeledImages.tileSide(of: path) {
      cropped = tile
    } else {
      let (whole, hasClasses) = try imageFiles(in: path)
      guard hasClasses, classifier != nil else { return MetricInput(path: path, images: whole) }
      let first = try whole.first()
      cropped = side ?? min(first.width, first.height)
    }
    let images = try dataset.images(in: path, side: cropped, progress)
    return MetricInput(path: path, images: ImageSet((images.training + images.validation).map(\.image)))
  }

  /// The images of a folder without sheets, and whether they are in folders of classes.
  private func imageFiles(in path: String) throws -> (ImageSet, hasClasses: Bool) {
    func skipped(_ problem: String) { Console.note("skipped \(problem)") }
    let skips = dataset.badFiles == .skip
    let names = try FolderListing(path).names.filter { !$0.hasPrefix(".") }
    guard !names.isEmpty, names.allSatisfy({ OutputFile.isFolder(PathName.join(path, $0)) }) else {
      return (try ImageSet(folder: path, skipsBadFiles: skips, onProblem: skipped), false)
    }
    let files = try ClassFolders.images(in: path, badFiles: dataset.badFiles)
    return (try ImageSet(files: files, of: path, skipsBadFiles: skips, onProblem: skipped), true)
  }

  /// The side of the first image there is; nil without images.
  func imageSide(_ inputs: MetricInput...) throws -> Int? {
    try inputs.lazy.compactMap(\.images).first?.first().width
  }

  /// The network that was asked for.
  func network<B: Backend, D: EngineDevice>(
    as engine: B.Type, on device: D, side: Int?, _ progress: Progress
  ) throws -> FeatureNetwork? where B.Device == D {
    if let inception {
      guard let engine = B.self as? any FeatureBackend.Type else {
        throw Failure("--inception: this engine cannot pool")
      }
      progress.report("reading \(inception)")
      return try Self.inception(engine, path: inception, batch: batch, on: device)
    }
    guard let classifier else { return nil }
    guard let side else {
      throw Failure("--classifier: neither \(samples) nor \(reference) holds images whose features it could compute")
    }
    return try trained(B.self, on: classifier, side: side, device: device, progress)
  }

  private static func inception<E: FeatureBackend>(
    _ engine: E.Type, path: String, batch: Int, on device: some EngineDevice
  ) throws -> FeatureNetwork {
    guard let device = device as? E.Device else { preconditionFailure("the device of another engine") }
    let source = try StoredInception(path: path)
    let model = try Inception<E>(source, on: device)
    return FeatureNetwork(checksum: source.checksum) { images, onProgress in
      do {
        return try model.features(of: images, batch: batch, on: device, onProgress: onProgress)
      } catch let error as MeasureError {
        throw FileError(path, error.description)
      }
    }
  }

  /// A classifier of a folder's classes.
  private func trained<B: Backend>(
    _ engine: B.Type, on folder: String, side: Int, device: B.Device, _ progress: Progress
  ) throws -> FeatureNetwork {
    guard (Self.smallestSide...Self.largestSide).contains(side) else {
      throw Failure(
        "--classifier: the images have \(side) pixels a side, and the classifier takes \(Self.smallestSide) to "
          + "\(Self.largestSide); use --inception for others")
    }
    let model: SmallClassifier<B> = try classifier(folder, side: side, device: device, progress)
    if let saveClassifier { try model.write(to: saveClassifier) }
    return FeatureNetwork(checksum: try model.checksum) { images, onProgress in
      var (values, done): ([Float], Int) = ([], 0)
      try images.forEachBatch(64) { part in
        let pixels = try part.map { image -> [UInt8] in
          guard image.width == side, image.height == side else {
            throw Failure(
              "--classifier: an image has \(image.width) × \(image.height) pixels, and the first one has \(side)")
          }
          return image.pixels
        }
        values += try model.features(for: pixels)
        done += part.count
        try onProgress(done)
      }
      guard values.allSatisfy(\.isFinite) else { throw Failure("--classifier: its features are not finite numbers") }
      return ImageFeatures(
        pooled: FeatureMatrix(values, rows: done, columns: SmallClassifier<B>.featureCount))
    }
  }

  /// A classifier of a file, or one that is trained on the training images of a folder.
  private func classifier<B: Backend>(_ path: String, side: Int, device: B.Device, _ progress: Progress) throws
    -> SmallClassifier<B>
  {
    var isFolder: ObjCBool = false
    if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), !isFolder.boolValue {
      guard neverFlip.isEmpty else {
        throw Failure("--never-flip is for a classifier that is trained, and \(path) is one already")
      }
      let model = try SmallClassifier<B>(reading: path, on: device)
      guard model.side == side else {
        throw Failure("\(path): is for images of \(model.side) pixels a side, and these have \(side)")
      }
      return model
    }
    let images = try dataset.images(in: path, side: side, progress)
    var settings = ClassifierSettings()
    settings.unflippable = try Arguments.labels(
      neverFlip, option: "--never-flip", among: images.classNames, of: path)
    return try SmallClassifier<B>.trained(
      on: images.training, classes: images.classNames.count, side: side, settings, on: device
    ) { step, loss in
      progress.report(
        "training the classifier, step \(step) of \(settings.steps): loss \(String(format: "%.3f", loss))")
    }
  }

  private static var smallestSide: Int { 16 }
  private static var largestSide: Int { 256 }

  /// Computes the features of a side that has images and no features yet.
  func addFeatures(to input: inout MetricInput, by network: FeatureNetwork?, _ progress: Progress) throws {
    guard let images = input.images, input.features.pooled == nil else { return }
    guard let network else {
      // Statistics are enough for distances.
      if try input.pooled() != nil { return }
      throw Failure(
        "\(input.path): holds images, whose features need a network: name the weights of Inception with --inception, or "
          + "data for a small classifier with --classifier")
    }
    var pace = Pace(total: images.count)
    let path = input.path
    input.features = try network.features(images) { done in
      pace.advance(to: done)
      progress.report(
        "features of \(path): \(done) of \(images.count)" + (pace.text(of: "images").map { ", \($0)" } ?? ""))
    }
    input.network = network.checksum
  }

  /// Writes the features of a side.
  func save(_ input: MetricInput, to path: String) throws {
    guard input.features.pooled != nil else {
      throw Failure("\(path): nothing to save: \(input.path) has no features of single images")
    }
    try FeatureCache.write(input.features, network: input.network, to: path)
  }
}
