// The small model that ships with the package, used where no other is specified: a resource of the package, found
// without a path by every program that is built with it. It is also searched for in `Fixtures/emoji` above the program
// itself and above the working folder, for programs that were moved.

import Foundation
import MVAR
import MVARShippedModel

/// The files of the shipped model.
public enum ShippedModel {
  /// The transformer's file; nil when it was not found.
  public static var transformer: String? { find("transformer.safetensors") }
  /// The tokenizer's file; nil when it was not found.
  public static var tokenizer: String? { find("tokenizer.safetensors") }

  /// The guidance, top-k and top-p with which it samples best: chosen by visual inspection and by `mvar evaluate`.
  public static let sampling = SamplingValues(guidance: 3, topK: 30, topP: 0.85)

  /// The error sentence for when it is not found.
  package static let absence =
    "no model is named, and the shipped one (Fixtures/emoji) was found neither among the program's resources nor above the "
    + "program nor above this folder"

  private static func find(_ name: String) -> String? {
    let program = Bundle.main.executableURL?.resolvingSymlinksInPath().deletingLastPathComponent()
    func beside(_ start: URL) -> [URL] { above(start).map { $0.appending(path: "Fixtures/emoji/\(name)") } }
    // The working folder comes last: where a program works must not decide which model it gets.
    let candidates =
      (program.map(beside) ?? []) + ShippedModelFiles.folders.map { $0.appending(path: name) }
      + beside(URL(filePath: FileManager.default.currentDirectoryPath))
    return candidates.map { $0.path(percentEncoded: false) }.first { FileManager.default.fileExists(atPath: $0) }
  }

  /// A folder and its seven ancestors.
  private static func above(_ folder: URL) -> [URL] {
    (0..<7).reduce(into: [folder.standardizedFileURL]) { folders, _ in
      folders.append(folders[folders.count - 1].deletingLastPathComponent())
    }
  }
}
