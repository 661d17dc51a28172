// The small model that ships with the package, used where no other is named: found in `Fixtures/emoji` above the program
// itself or above the working folder.

import Foundation

/// The files of the shipped model.
enum ShippedModel {
  /// The transformer.
  static var transformer: String? { find("transformer.safetensors") }
  /// The tokenizer.
  static var tokenizer: String? { find("tokenizer.safetensors") }

  /// Guidance, top-k and top-p with which it samples best: chosen by looking and by `mvar evaluate`.
  static let sampling = SamplingValues(guidance: 3, topK: 30, topP: 0.85)

  /// The sentence for when it is not there.
  static let absence =
    "no model is named, and the shipped one (Fixtures/emoji) was found neither above the program nor above this folder"

  private static func find(_ name: String) -> String? {
    let program = Bundle.main.executableURL?.resolvingSymlinksInPath().deletingLastPathComponent()
    let starts = [program, URL(filePath: FileManager.default.currentDirectoryPath)].compactMap { $0 }
    for start in starts {
      var folder = start.standardizedFileURL
      for _ in 0..<8 {
        let file = folder.appending(path: "Fixtures/emoji/\(name)").path(percentEncoded: false)
        if FileManager.default.fileExists(atPath: file) { return file }
        folder = folder.deletingLastPathComponent()
      }
    }
    return nil
  }
}
