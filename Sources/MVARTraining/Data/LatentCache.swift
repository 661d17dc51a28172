// Writes images as cached tokens: one npz per image, in train/<class>/<name>.npz and likewise val/, as published, and the
// order of the classes in classes.txt.
// Existing files that hold the tokens of the same pixels by the same tokenizer are kept, so an interrupted run resumes
// where it stopped, or moved, where the image went from one part to the other; all others are written again.

import Foundation
import MVAR
import MVARCollectives
import MVARFiles
import TensorCore

/// Encodes images into a folder of tokens.
public struct LatentCache<B: Backend> {
  private let tokenizer: VQVAE<B>
  private let device: B.Device

  /// A cache made by a tokenizer.
  public init(_ tokenizer: VQVAE<B>, on device: B.Device) {
    self.tokenizer = tokenizer
    self.device = device
  }

  /// An image and its file.
  private struct Entry {
    let example: LabeledImages.Example
    let path: String
    /// The file that the image would have in the other part.
    let otherPath: String
  }

  /// Writes all images of a data set. Several processes share the batches out; the first one looks at the files and writes
  /// them, the same bytes as one process alone, and has the counts.
  ///
  /// - Parameters:
  ///   - images: the data set, the same for all processes.
  ///   - folder: where `train/` and, if images are held out, `val/` go; created if it does not exist.
  ///   - batch: how many images are encoded at once.
  ///   - collectives: the processes that call this together.
  ///   - onProgress: receives the number of images done and the total.
  /// - Returns: what was found in the folder.
  /// - Throws: `FileError` when a folder or file cannot be written, or when two images would have the same file, or one
  ///   a file where another needs a folder; `NotANumberError` when the tokenizer's output is not finite.
  @discardableResult
  public func write(
    _ images: LabeledImages, to folder: String, batch: Int = 16, collectives: any Collectives = SingleProcess(),
    onProgress: (Int, Int) -> Void = { _, _ in }
  ) throws -> LatentCacheCounts {
    var known: Set<[UInt8]> = []
    var parts: [[Entry]] = []
    for (part, examples) in [("train", images.training), ("val", images.validation)] {
      let entries = examples.map { example in
        let className = images.classNames[example.label]
        // The name is the class, a slash, and the path within the class.
        let name = String(decoding: example.name.utf8.dropFirst(className.utf8.count + 1), as: UTF8.self)
        let place = "\(className)/\(PathName.prefix(of: name))\(PathName.withoutEnding(PathName.last(of: name))).npz"
        return Entry(
          example: example, path: "\(folder)/\(part)/\(place)",
          otherPath: "\(folder)/\(part == "train" ? "val" : "train")/\(place)")
      }
      for entry in entries where !known.insert(Array(entry.path.utf8)).inserted {
        throw FileError(entry.path, "would be written twice: two images of the class differ in their ending only")
      }
      parts.append(entries)
    }
    if collectives.isRoot {
      try ClassOrder.check(images.classNames, of: folder)
      for entry in parts.joined() { try checkFolders(of: entry.path, in: folder, besides: known) }
    }
    let (digest, total) = (try LatentOrigin.digest(of: tokenizer), known.count)
    let batches = parts.flatMap { entries in
      stride(from: 0, to: entries.count, by: batch).map { Array(entries[$0..<min($0 + batch, entries.count)]) }
    }
    var (counts, saysOrder) = (LatentCacheCounts(), false)
    for start in stride(from: 0, to: batches.count, by: collectives.count) {
      // A batch for each rank. Which of its images are needed is for the first one to say.
      let round = Array(batches[start..<min(start + collectives.count, batches.count)])
      var waiting = round.map { _ in [(place: Int, origin: LatentOrigin)]() }
      if collectives.isRoot {
        for (batch, entries) in round.enumerated() {
          for (place, entry) in entries.enumerated() {
            let origin = LatentOrigin(tokenizer: digest, pixels: entry.example.pixels, side: images.side)
            if try isNeeded(entry, origin, known, &counts) { waiting[batch].append((place, origin)) }
          }
        }
      }
      let needed = try collectives.told(
        waiting.enumerated().flatMap { batch, found in found.flatMap { [batch, $0.place] } })
      let pairs = stride(from: 0, to: needed.count, by: 2).map { (batch: needed[$0], place: needed[$0 + 1]) }
      try collectives.share(round.count) { batch in
        let pixels = pairs.filter { $0.batch == batch }.map { round[batch][$0.place].example.pixels }
        guard !pixels.isEmpty else { return LatentBatch(plain: [], flipped: []) }
        return LatentBatch(
          plain: try encode(pixels, side: images.side, flipped: false),
          flipped: try encode(pixels, side: images.side, flipped: true))
      } take: { batch, latents in
        for (row, (place, origin)) in waiting[batch].enumerated() {
          // Only now, so that a tokenizer that is refused leaves no empty folders.
          let path = round[batch][place].path
          try RunFolder.createFolder(PathName.folder(of: path))
          if !saysOrder { try ClassOrder.write(images.classNames, to: folder) }
          saysOrder = true
          try LatentFile(image: latents.plain[row], flipped: latents.flipped[row], origin: origin).write(to: path)
        }
      }
      onProgress(counts.total, total)
    }
    guard collectives.isRoot else { return counts }
    try ClassOrder.write(images.classNames, to: folder)
    let others = Set(parts.joined().map { Array($0.otherPath.utf8) })
    for part in ["train", "val"] {
      for path in LatentCacheCounts.files(in: "\(folder)/\(part)") where !known.contains(Array(path.utf8)) {
        if others.contains(Array(path.utf8)) { counts.misplaced.append(path) } else { counts.strangers.append(path) }
      }
    }
    return counts
  }

  /// Refuses a file that cannot be written because a folder has its name, or a file the name of one of its folders.
  private func checkFolders(of path: String, in folder: String, besides known: Set<[UInt8]>) throws {
    if ClassFolders.exists(path), try ClassFolders.isFolder(path) {
      throw FileError(path, "is a folder, and the tokens of an image belong into a file of this name")
    }
    var above = PathName.trimmed(PathName.prefix(of: path))
    while above.utf8.count > folder.utf8.count {
      guard !known.contains(Array(above.utf8)) else {
        throw FileError(
          above, "would be a file and a folder: an image and a folder of the class differ in their ending only")
      }
      above = PathName.trimmed(PathName.prefix(of: above))
    }
  }

  /// Whether a file is missing, damaged, or of other pixels or another tokenizer, and is not in the other part either.
  private func isNeeded(
    _ entry: Entry, _ origin: LatentOrigin, _ known: Set<[UInt8]>, _ counts: inout LatentCacheCounts
  ) throws -> Bool {
    let exists = ClassFolders.exists(entry.path)
    if exists, isOf(origin, entry.path) {
      counts.kept += 1
      return false
    }
    if !known.contains(Array(entry.otherPath.utf8)), ClassFolders.exists(entry.otherPath),
      isOf(origin, entry.otherPath)
    {
      try RunFolder.createFolder(PathName.folder(of: entry.path))
      guard rename(entry.otherPath, entry.path) == 0 else {
        throw FileError(entry.otherPath, "cannot be moved to \(entry.path)", system: errno)
      }
      counts.kept += 1
      counts.moved += 1
      return false
    }
    if exists { counts.replaced += 1 } else { counts.added += 1 }
    return true
  }

  /// Whether a file holds the tokens of these pixels by this tokenizer.
  private func isOf(_ origin: LatentOrigin, _ path: String) -> Bool {
    let sizes = tokenizer.configuration
    let file = try? LatentFile(
      path: path, length: sizes.scaleList.length, codeWidth: sizes.codeWidth, vocabulary: sizes.vocabulary)
    return file.map { $0.origin == origin } ?? false
  }

  private func encode(_ pixels: [[UInt8]], side: Int, flipped: Bool) throws -> [LatentFile.Moments] {
    let labels = pixels.map { _ in 0 }
    var values = ImageBatch(labels: labels, pixels: pixels, side: side).images
    if flipped { for row in stride(from: 0, to: values.count, by: side) { values[row..<row + side].reverse() } }
    let images = try Tensor<B>(B.Scalar.array(values), shape: [pixels.count, 3, side, side], on: device)
    let batch = try TokenBatch(tokenizer, images: images, labels: labels)
    let inputs = try batch.inputs.scalars().map { Float($0) }
    let length = tokenizer.configuration.scaleList.length
    let each = inputs.count / pixels.count
    return pixels.indices.map {
      LatentFile.Moments(
        tokens: Array(batch.tokens[$0 * length..<($0 + 1) * length]), inputs: Array(inputs[$0 * each..<($0 + 1) * each])
      )
    }
  }
}

/// The tokens and inputs of a batch and of its mirror images.
private struct LatentBatch: RankMessage {
  let plain: [LatentFile.Moments]
  let flipped: [LatentFile.Moments]
}

extension LatentBatch {
  var parts: [[UInt8]] { (plain + flipped).flatMap { [RankBytes.of($0.tokens), RankBytes.of($0.inputs)] } }

  init(parts: [[UInt8]]) {
    let moments = stride(from: 0, to: parts.count, by: 2).map {
      LatentFile.Moments(tokens: RankBytes.numbers(parts[$0]), inputs: RankBytes.numbers(parts[$0 + 1]))
    }
    plain = Array(moments.prefix(moments.count / 2))
    flipped = Array(moments.suffix(moments.count / 2))
  }
}

/// What a cache found in its folder.
public struct LatentCacheCounts: Sendable, Equatable {
  /// Files that were not there.
  public internal(set) var added = 0
  /// Files that were right already, those included that were moved.
  public internal(set) var kept = 0
  /// Files that were right and in the other part, `train/` or `val/`, from which they were moved.
  public internal(set) var moved = 0
  /// Files that were damaged, or held tokens of other pixels or of another tokenizer.
  public internal(set) var replaced = 0
  /// Files of tokens that belong to no image of the data set.
  public internal(set) var strangers: [String] = []
  /// Files with the name of an image of the other part, where it has a file of its own.
  public internal(set) var misplaced: [String] = []

  var total: Int { added + kept + replaced }

  /// All files of tokens in a folder and the folders in it; links are not followed.
  static func files(in folder: String) -> [String] {
    var (found, waiting): ([String], [String]) = ([], [folder])
    while let next = waiting.popLast() {
      for name in (try? FolderListing(next).names) ?? [] where !PathName.isHidden(name) {
        let path = PathName.join(next, name)
        var status = stat()
        guard lstat(path, &status) == 0 else { continue }
        if status.st_mode & S_IFMT == S_IFDIR {
          waiting.append(path)
        } else if PathName.ending(name) == "npz" {
          found.append(path)
        }
      }
    }
    return found.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }
}
