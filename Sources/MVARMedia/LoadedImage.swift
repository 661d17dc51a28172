// An image as it comes from a file: its pixels as Pillow's `Image.open(path).convert("RGB")` gives them, and what is
// worth saying about it. File names and extensions are never examined; the contents decide.

import MVARFiles

/// What is done about an orientation that a photograph's metadata give.
public enum ExifPolicy: String, Sendable, CaseIterable {
  /// Pixels stay as they are stored, as in Pillow and in the training of the published models.
  case ignore
  /// The image is turned upright, as by Pillow's `ImageOps.exif_transpose`.
  case apply
}

/// An image from a file.
public struct LoadedImage: Sendable {
  /// The pixels as they are stored.
  public let image: PixelImage
  /// How the image lies, as its metadata say.
  public let orientation: Orientation
  /// What is wrong with the file although it can be decoded; nil for a sound file.
  public let damage: String?

  /// Reads a PNG or JPEG file.
  ///
  /// - Throws: `FileError`, one sentence with the path and the reason.
  public static func load(_ path: String) throws(FileError) -> LoadedImage {
    let bytes = try RegularFile.contents(of: path, limit: ImageLimits.fileSize, for: "an image")
    return try LoadedImage(decoding: bytes, subject: path)
  }

  /// Decodes the bytes of a PNG or JPEG file.
  ///
  /// - Parameters:
  ///   - bytes: the whole file.
  ///   - subject: the subject of an error's sentence.
  /// - Throws: `FileError`, one sentence with the subject and the reason.
  public init(decoding bytes: [UInt8], subject: String = "the image") throws(FileError) {
    switch try ImageFormat.supported(bytes, subject) {
    case .jpeg: self = try JPEGReader.decode(bytes, subject: subject)
    default: self = try PNGReader.decode(bytes, subject: subject)
    }
  }

  init(image: PixelImage, orientation: Orientation, damage: String?) {
    self.image = image
    self.orientation = orientation
    self.damage = damage
  }

  /// The pixels, turned if the policy says so.
  public func image(_ policy: ExifPolicy) -> PixelImage {
    policy == .apply ? image.upright(from: orientation) : image
  }
}

/// The size of an image, from the first part of its file: no pixel is decoded.
public struct ImageSize: Equatable, Sendable {
  /// Columns of pixels.
  public let width: Int
  /// Rows of pixels.
  public let height: Int

  /// Reads the size of a PNG or JPEG file.
  ///
  /// - Throws: `FileError` when the file is neither, or its first part is damaged.
  public init(path: String) throws(FileError) {
    // What stands before the pixels is rarely longer; if it is, the whole file is read.
    if let size = try? ImageSize(RegularFile.start(of: path, count: 1 << 16), subject: path) {
      self = size
    } else {
      self = try ImageSize(
        RegularFile.contents(of: path, limit: ImageLimits.fileSize, for: "an image"), subject: path)
    }
  }

  private init(_ bytes: [UInt8], subject: String) throws(FileError) {
    switch try ImageFormat.supported(bytes, subject) {
    case .jpeg:
      let header = try JPEGHeader(bytes, subject: subject)
      (width, height) = (header.width, header.height)
    default:
      var cursor = PNGCursor(bytes: bytes, subject: subject)
      let header = try PNGHeader.read(&cursor).header
      (width, height) = (header.width, header.height)
    }
    try ImageLimits.check(width: width, height: height, of: subject)
  }

  /// About how much memory decoding and cropping the image takes: its bytes, and coefficients of two bytes for each.
  package var decodingBytes: Int { 9 * width * height }
}

/// What was noteworthy about several images, said once.
public struct ImageNotes: Sendable, Equatable {
  /// The first file of a kind, and how many there are.
  public struct Tally: Sendable, Equatable {
    /// How many.
    public internal(set) var count = 0
    /// The first file's name.
    public internal(set) var first = ""
    /// What was said of the first.
    public internal(set) var reason = ""
  }

  /// Files that are damaged and were decoded all the same.
  public private(set) var damaged = Tally()
  /// Images that are not upright as they are stored.
  public private(set) var turned = Tally()

  /// No notes.
  public init() {}

  /// Takes note of an image.
  ///
  /// - Parameter name: the file's name.
  public mutating func add(_ image: LoadedImage, name: String) {
    add(damage: image.damage, orientation: image.orientation, name: name)
  }

  /// Takes note of an image of which only this is known.
  package mutating func add(damage: String?, orientation: Orientation, name: String) {
    func count(_ tally: inout Tally, _ reason: String) {
      if tally.count == 0 { (tally.first, tally.reason) = (name, reason) }
      tally.count += 1
    }
    if let damage { count(&damaged, damage) }
    if orientation != .upright { count(&turned, "orientation \(orientation.rawValue)") }
  }

  /// A sentence for each kind.
  ///
  /// - Parameter policy: what was done about the orientation.
  public func sentences(_ policy: ExifPolicy) -> [String] {
    var result: [String] = []
    func images(_ count: Int, _ one: String, _ several: String) -> String {
      count == 1 ? "1 image \(one)" : "\(count) images \(several)"
    }
    if damaged.count > 0 {
      let subject = images(damaged.count, "is damaged and was", "are damaged and were")
      result.append("\(subject) decoded as far as possible; the first is \(damaged.first): \(damaged.reason)")
    }
    if turned.count > 0 {
      let subject = images(turned.count, "has", "have")
      let done = policy == .apply ? "that was applied" : "that is not applied (see --exif)"
      result.append("\(subject) an EXIF orientation \(done); the first is \(turned.first): \(turned.reason)")
    }
    return result
  }
}
