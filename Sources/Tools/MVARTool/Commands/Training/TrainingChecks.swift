// Problems that a training would meet later, found before hours are spent and before anything is written: results among
// the data, and sizes that the device cannot hold.

import Foundation
import MVAR

/// Checks before a training.
enum TrainingChecks {
  /// Refuses a results folder that is the data folder or would be read as part of it: a folder among class folders is a
  /// class.
  static func apart(_ output: String, from data: String) throws {
    guard let root = resolved(data), let place = resolved(output) else { return }
    func has(_ name: String) -> Bool { access("\(root)/\(name)", F_OK) == 0 }
    let read = has("index.json") ? [] : has("train") ? ["\(root)/train/", "\(root)/val/"] : ["\(root)/"]
    guard place == root || read.contains(where: { "\(place)/".hasPrefix($0) }) else { return }
    throw Failure(
      "\(output): lies in the folder of the data, where results would be taken for data; choose another folder")
  }

  /// A path with links resolved, as far as it exists.
  private static func resolved(_ path: String) -> String? {
    var (above, rest) = (path, "")
    while true {
      if let real = realpath(above.isEmpty ? "." : above, nil) {
        defer { free(real) }
        return String(cString: real) + rest
      }
      while above.hasSuffix("/") { above.removeLast() }
      guard !above.isEmpty else { return nil }
      let name = above.lastIndex(of: "/").map { above.index(after: $0) } ?? above.startIndex
      rest = "/\(above[name...])\(rest)"
      above = String(above[..<name])
    }
  }

  /// Refuses a tokenizer that cannot be trained here. The estimate is a lower bound, so nothing feasible is refused.
  static func memory(_ configuration: TokenizerConfiguration, batch: Int, on device: some EngineDevice) throws {
    let cost = TokenizerCost(configuration)
    try device.checkMemory(
      cost.optimizedBytes() + cost.trainingBytes(batch: batch),
      for: "training a tokenizer of these sizes on \(batch) image\(batch == 1 ? "" : "s") at once")
  }

  /// Refuses a transformer that cannot be trained here.
  static func memory(_ configuration: TransformerConfiguration, batch: Int, on device: some EngineDevice) throws {
    let cost = TransformerCost(configuration)
    try device.checkMemory(
      cost.optimizedBytes() + cost.trainingBytes(batch: batch),
      for: "training a transformer of these sizes on \(batch) image\(batch == 1 ? "" : "s") at once")
  }
}
