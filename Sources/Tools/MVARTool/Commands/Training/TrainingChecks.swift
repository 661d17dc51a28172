// Problems that a training would meet later, found before hours are spent and before anything is written: results among
// the data, and sizes that the device cannot hold.

import Foundation
import MVAR
import MVARFiles
import MVARTraining

/// Checks before a training.
enum TrainingChecks {
  /// Refuses a results folder that is the data folder or would be read as part of it: a folder among class folders is a
  /// class.
  static func apart(_ output: String, from data: String) throws {
    guard let root = resolved(data), let place = resolved(output) else { return }
    let read = ClassFolders.readFolders(of: root)
    guard place.isExactly(root) || read.contains(where: { "\(place)/".utf8.starts(with: "\($0)/".utf8) })
    else { return }
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
      above = PathName.trimmed(above)
      guard !above.isEmpty, above != "/" else { return nil }
      let folder = PathName.prefix(of: above)
      rest = "/\(PathName.last(of: above))\(rest)"
      above = folder
    }
  }

  /// Refuses a tokenizer that cannot be trained here. The estimate is a lower bound, so nothing feasible is refused.
  static func memory(
    _ configuration: TokenizerConfiguration, batch: Int, averages: Bool, on device: some EngineDevice
  ) throws {
    let cost = TokenizerCost(configuration)
    let average = averages ? 4 * cost.parameters : 0
    try memory(for: "tokenizer", batch: batch, on: device) {
      average + cost.optimizedBytes() + cost.trainingBytes(batch: $0)
    }
  }

  /// Refuses a transformer that cannot be trained here.
  static func memory(
    _ configuration: TransformerConfiguration, batch: Int, storage: OptimizerStorage, recomputing: Bool,
    averages: Bool, on device: some EngineDevice
  ) throws {
    let cost = TransformerCost(configuration)
    let average = averages ? 4 * cost.parameters : 0
    try memory(for: "transformer", batch: batch, on: device) {
      average
        + cost.trainingPeakBytes(
          batch: $0, recomputing: recomputing, gradientBytes: storage.gradientBytes, momentBytes: storage.momentBytes)
    }
  }

  /// Refuses a batch that does not fit, and names the largest that does.
  private static func memory(for model: String, batch: Int, on device: some EngineDevice, _ bytes: (Int) -> Double)
    throws
  {
    // The largest batch that fits, by bisection: `fits` does, `tooMany` does not.
    var (fits, tooMany) = (0, batch)
    while tooMany - fits > 1 {
      let middle = (fits + tooMany) / 2
      if bytes(middle) <= Double(device.memoryBytes) { fits = middle } else { tooMany = middle }
    }
    try device.checkMemory(
      bytes(batch), for: "training a \(model) of these sizes on \(batch) image\(batch == 1 ? "" : "s") at once",
      advice: fits == 0 ? "" : "; --batch \(fits) fits")
  }
}
