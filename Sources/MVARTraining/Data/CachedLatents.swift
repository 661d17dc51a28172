// A set of labeled images that were encoded earlier: one npz file each, in the same folder layout as images. Only names
// are kept in memory; a file is mapped when it is used, so the set may be larger than the memory. Types and shapes are
// checked when the set is opened, the values themselves when they are read.

import MVARFiles

/// A set of cached tokens, for training and for validation.
public struct CachedLatents: Sendable {
  /// One image's file and its label.
  public struct Example: Sendable, Equatable {
    /// The class, an index into ``CachedLatents/classNames``.
    public let label: Int
    /// The class and the file: `cat/12.npz`.
    public let name: String
    /// The file.
    public let path: String
    /// A hash of the tokens that the file held when the set was opened.
    let checksum: UInt64
  }

  /// The names of the classes; a label is an index into them.
  public let classNames: [String]
  /// The images to learn from, class after class.
  public let training: [Example]
  /// The images that are held out, class after class.
  public let validation: [Example]
  /// L, the tokens of an image.
  public let length: Int
  /// Z, the elements of a code.
  public let codeWidth: Int
  /// V; tokens are 0 ..< V.
  public let vocabulary: Int

  /// Opens a folder with `train/<class>/*.npz` and optionally `val/<class>/*.npz`, or with the class folders directly.
  /// The names `train_cache_mvar` and `val_cache_mvar` of the authors' scripts come before `train` and `val`.
  ///
  /// - Parameters:
  ///   - path: the folder.
  ///   - length: L, the tokens of an image, at least 2.
  ///   - codeWidth: Z, the elements of a code, at least 1.
  ///   - vocabulary: V, at least 1.
  ///   - tokenizer: the digest of the tokenizer in use, from ``LatentOrigin/digest(of:)``; files of another one cannot be
  ///     used. Nil for no such check.
  ///   - badFiles: whether a file that cannot be used ends opening with an error.
  ///   - heldOut: without `val/`, one in this many files of each class is held out, always the same ones; 0 for none.
  ///   - onProblem: receives a sentence for each file that is skipped.
  ///   - onNote: receives a sentence about files that are not used, and one about those that do not name their tokenizer.
  ///   - onProgress: receives the number of files checked and the total, several times.
  /// - Throws: `FileError`, one sentence that begins with the path.
  public init(
    path: String, length: Int, codeWidth: Int, vocabulary: Int, tokenizer: [UInt8]? = nil,
    badFiles: BadFilePolicy = .refuse,
    heldOut: Int = 10, onProblem: (String) -> Void = { _ in }, onNote: (String) -> Void = { _ in },
    onProgress: (Int, Int) -> Void = { _, _ in }
  ) throws {
    let folders = try ClassFolders(path: path, .latents(badFiles), heldOut: heldOut)
    folders.unused.sentences.forEach(onNote)
    classNames = folders.classNames
    self.length = length
    self.codeWidth = codeWidth
    self.vocabulary = vocabulary
    let files = folders.training.map { (file: $0, isTraining: true) }
    let others = folders.validation.map { (file: $0, isTraining: false) }
    let usable = try FileReader.read(
      files + others, badFiles: badFiles, onProblem: onProblem, onProgress: onProgress
    ) { entry throws(FileError) in
      let file = try LatentFile.open(entry.file.path, length: length, codeWidth: codeWidth)
      let origin = try LatentOrigin(of: file)
      if let tokenizer, let origin, origin.tokenizer != tokenizer {
        throw FileError(entry.file.path, "holds the tokens of another tokenizer; mvar cache makes them again")
      }
      let example = Example(
        label: entry.file.label, name: entry.file.name, path: entry.file.path,
        checksum: try LatentFile.checksum(of: file))
      return (example: example, isTraining: entry.isTraining, hasOrigin: origin != nil)
    }
    let unknown = usable.count { !$0.hasOrigin }
    if tokenizer != nil && unknown > 0 {
      onNote("\(unknown) of \(usable.count) cached images do not say which tokenizer made them, so that is not checked")
    }
    training = usable.filter(\.isTraining).map(\.example)
    validation = usable.filter { !$0.isTraining }.map(\.example)
    let names = Dictionary(training.map { (ExactText($0.name), $0.checksum) }, uniquingKeysWith: { first, _ in first })
    let twice = validation.filter { names[ExactText($0.name)] == $0.checksum }
    if let first = twice.first {
      onNote(
        "\(twice.count) of \(validation.count) images for validation are also trained on, under the same name with the "
          + "same tokens; the first is \(first.name)")
    }
    let labels = Set(training.map(\.label))
    if let empty = classNames.indices.first(where: { !labels.contains($0) }) {
      throw FileError(path, "has no cached image of the class \(classNames[empty]) that can be used")
    }
  }

  /// Reads one image.
  ///
  /// - Parameters:
  ///   - example: one of this set's.
  ///   - flip: whether the image flipped left to right is wanted.
  /// - Returns: the tokens [L] and the inputs [L − 1, Z].
  /// - Throws: `FileError` when the file changed since it was checked, a token is not in the vocabulary, or an input is
  ///   not finite.
  public func latent(_ example: Example, flip: Bool) throws -> (tokens: [Int32], inputs: [Float]) {
    let file = try LatentFile.open(example.path, length: length, codeWidth: codeWidth)
    let moments = try LatentFile.moments(of: file, flip: flip, vocabulary: vocabulary)
    return (moments.tokens, moments.inputs)
  }
}
