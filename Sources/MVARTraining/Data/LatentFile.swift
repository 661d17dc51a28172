// The published cache of one image, an npz archive: its tokens `moments_gt` int64 [L], the transformer's inputs
// `moments_x` float32 [L − 1, Z], and both again for the image flipped left to right (`…_flip`). It checks everything
// that training relies on. Two more arrays, which other programs ignore, say what made the file (`LatentOrigin`).

import MVARCheckpoints
import MVARFiles

/// The tokens and the inputs of one image and of its mirror image.
public struct LatentFile: Sendable, Equatable {
  /// What training needs of one image.
  public struct Moments: Sendable, Equatable {
    /// The token of every position of every scale.
    public let tokens: [Int32]  // [L]
    /// The input of every position except those of the first scale, row after row.
    public let inputs: [Float]  // [L − 1, Z]

    /// The moments of an image.
    ///
    /// - Parameters:
    ///   - tokens: [L], at least one.
    ///   - inputs: [L − 1, Z].
    public init(tokens: [Int32], inputs: [Float]) {
      self.tokens = tokens
      self.inputs = inputs
    }
  }

  /// The image as it is.
  public let image: Moments
  /// The image flipped left to right.
  public let flipped: Moments
  /// What made the file; nil where it does not say, as the authors' files.
  public let origin: LatentOrigin?

  /// The contents of a file to be written.
  ///
  /// - Parameters:
  ///   - image: the image as it is.
  ///   - flipped: the image flipped left to right.
  ///   - origin: what made them.
  public init(image: Moments, flipped: Moments, origin: LatentOrigin? = nil) {
    self.image = image
    self.flipped = flipped
    self.origin = origin
  }

  /// Reads a file.
  ///
  /// - Parameters:
  ///   - path: the npz file.
  ///   - length: L, the tokens of an image.
  ///   - codeWidth: Z, the elements of a code.
  ///   - vocabulary: V; tokens are 0 ..< V.
  /// - Throws: `FileError` when an array is missing or has another type or shape, a token is not in the vocabulary, or
  ///   an input is not finite.
  public init(path: String, length: Int, codeWidth: Int, vocabulary: Int) throws {
    let file = try Self.open(path, length: length, codeWidth: codeWidth)
    image = try Self.moments(of: file, flip: false, vocabulary: vocabulary)
    flipped = try Self.moments(of: file, flip: true, vocabulary: vocabulary)
    origin = try LatentOrigin(of: file)
  }

  /// Writes the file completely or not at all, with the arrays in the published order.
  ///
  /// - Parameter path: the file's name; its folder must exist.
  /// - Throws: `FileError` when the two images differ in shape, an input is not finite, a token is below 0, or the
  ///   file cannot be written.
  public func write(to path: String) throws {
    let length = image.tokens.count
    guard length > 1, !image.inputs.isEmpty, image.inputs.count.isMultiple(of: length - 1) else {
      throw FileError(path, "cannot hold \(length) tokens with \(image.inputs.count) numbers of input")
    }
    guard flipped.tokens.count == length, flipped.inputs.count == image.inputs.count else {
      throw FileError(path, "cannot hold an image and a flipped one of another length")
    }
    let width = image.inputs.count / (length - 1)
    for (moments, suffix) in [(image, ""), (flipped, "_flip")] {
      try Self.check(moments, suffix: suffix, codeWidth: width, vocabulary: Int(Int32.max), path)
    }
    do {
      try NPZWriter.write(
        [
          ("moments_gt", StoredTensor(image.tokens.map(Int.init), shape: [length])),
          ("moments_gt_flip", StoredTensor(flipped.tokens.map(Int.init), shape: [length])),
          ("moments_x", StoredTensor(image.inputs, shape: [length - 1, width])),
          ("moments_x_flip", StoredTensor(flipped.inputs, shape: [length - 1, width])),
        ] + (origin?.arrays() ?? []), to: path)
    } catch {
      throw FileError(path, because: error)
    }
  }

  /// Opens a file and checks the types and shapes of its arrays, without looking at the values.
  static func open(_ path: String, length: Int, codeWidth: Int) throws(FileError) -> Checkpoint {
    let file: Checkpoint
    do {
      file = try Checkpoint.open(path)
    } catch {
      throw FileError(path, because: error)
    }
    guard file.format == .npz else { throw FileError(path, "is a \(file.format.rawValue) file, not an npz archive") }
    for suffix in ["", "_flip"] {
      try check(file, "moments_gt\(suffix)", .int64, [length])
      try check(file, "moments_x\(suffix)", .float32, [length - 1, codeWidth])
    }
    return file
  }

  /// A hash of the tokens of an opened file, whatever their values.
  static func checksum(of file: Checkpoint) throws(FileError) -> UInt64 {
    var fingerprint = Fingerprint()
    for suffix in ["", "_flip"] {
      do {
        for token in try file["moments_gt\(suffix)"]?.integers() ?? [] {
          fingerprint.add(UInt64(bitPattern: Int64(token)))
        }
      } catch {
        throw FileError(file.path, because: error)
      }
    }
    return fingerprint.value
  }

  /// One half of an opened file.
  static func moments(of file: Checkpoint, flip: Bool, vocabulary: Int) throws(FileError) -> Moments {
    let suffix = flip ? "_flip" : ""
    guard let gt = file["moments_gt\(suffix)"], let x = file["moments_x\(suffix)"] else {
      throw FileError(file.path, "lacks its arrays")
    }
    let moments: Moments
    do {
      let tokens = try gt.integers()
      // A value outside 32 bits becomes −1, and is refused below like any other invalid token.
      moments = Moments(tokens: tokens.map { Int32(exactly: $0) ?? -1 }, inputs: try x.floats())
      if let place = tokens.firstIndex(where: { $0 < 0 || $0 >= vocabulary }) {
        throw outside(vocabulary, tokens[place], place, suffix, file.path)
      }
    } catch {
      throw FileError(file.path, because: error)
    }
    try check(moments, suffix: suffix, codeWidth: x.shape[1], vocabulary: vocabulary, file.path)
    return moments
  }

  private static func check(
    _ moments: Moments, suffix: String, codeWidth: Int, vocabulary: Int, _ path: String
  ) throws(FileError) {
    if let place = moments.tokens.firstIndex(where: { $0 < 0 || $0 >= vocabulary }) {
      throw outside(vocabulary, Int(moments.tokens[place]), place, suffix, path)
    }
    if let place = moments.inputs.firstIndex(where: { !$0.isFinite }) {
      throw FileError(
        path,
        "holds \(moments.inputs[place]) in moments_x\(suffix) at [\(place / codeWidth), \(place % codeWidth)], and "
          + "inputs are finite")
    }
  }

  private static func outside(
    _ vocabulary: Int, _ token: Int, _ place: Int, _ suffix: String, _ path: String
  ) -> FileError {
    FileError(
      path, "holds the token \(token) in moments_gt\(suffix) at \(place), and tokens are 0 … \(vocabulary - 1)")
  }

  private static func check(
    _ file: Checkpoint, _ name: String, _ type: ScalarType, _ shape: [Int]
  ) throws(FileError) {
    guard let tensor = file[name] else { throw FileError(file.path, "lacks the array \(name)") }
    guard tensor.scalarType == type else {
      throw FileError(file.path, "holds \(name) as \(tensor.scalarType), and it is \(type)")
    }
    guard tensor.shape == shape else {
      throw FileError(file.path, "holds \(name) of shape \(tensor.shape), and the model needs \(shape)")
    }
  }
}
