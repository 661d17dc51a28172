// Small files and folders for the tests of data sets, and the sentence of an error without the folder's name.

import Foundation
import MVARFiles
import MVARMedia
import MVARTraining

/// A folder that a test fills.
struct SampleFolder {
  let path: String

  /// The path of something in the folder.
  func at(_ name: String) -> String { "\(path)/\(name)" }

  /// Creates a folder and those above it.
  func makeFolder(_ name: String) throws {
    try FileManager.default.createDirectory(atPath: at(name), withIntermediateDirectories: true)
  }

  /// Writes a file and creates its folder.
  func write(_ bytes: [UInt8], _ name: String) throws {
    try makeFolder((name as NSString).deletingLastPathComponent)
    try Data(bytes).write(to: URL(filePath: at(name)))
  }

  /// Writes a text and creates its folder.
  func write(_ text: String, _ name: String) throws { try write(Array(text.utf8), name) }

  /// Writes a PNG file and creates its folder.
  func write(_ image: PixelImage, _ name: String) throws { try write(image.pngBytes(), name) }

  /// Creates a symbolic link.
  func link(_ name: String, to target: String) throws {
    try FileManager.default.createSymbolicLink(atPath: at(name), withDestinationPath: target)
  }

  /// The sentence of the error that `body` throws, with the folder's path replaced by a period.
  func sentence(_ body: () throws -> Void) -> String {
    do {
      try body()
      return "no error"
    } catch let error as FileError {
      return error.description.replacingOccurrences(of: path, with: ".")
    } catch {
      return "another error: \(error)"
    }
  }
}

/// An image whose every pixel differs from its neighbors.
func pattern(_ width: Int, _ height: Int, seed: Int = 0) throws -> PixelImage {
  let pixels = (0..<(3 * width * height)).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ ($0 / 7) &* 11 &+ seed &* 53) }
  return try PixelImage(width: width, height: height, pixels: pixels)
}

/// Sixteen gray pixels of brightness 100, as an 8-bit grayscale PNG.
let grayPNG = [UInt8](
  Data(
    base64Encoded:
      "iVBORw0KGgoAAAANSUhEUgAAAAQAAAAECAAAAACMmsGiAAAADklEQVR4nGNIAQIGVAIAPpQGQcvovXgAAAAASUVORK5CYII="
  )!)

/// Sixteen semitransparent pixels (10, 20, 30), as an 8-bit RGBA PNG.
let transparentPNG = [UInt8](
  Data(
    base64Encoded:
      "iVBORw0KGgoAAAANSUhEUgAAAAQAAAAECAYAAACp8Z5+AAAAEklEQVR4nGPgEpFrQMYMpAsAAIRzC8FyRMsGAAAAAElFTkSuQmCC"
  )!)
