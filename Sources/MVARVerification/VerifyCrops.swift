// `crops.json`: decoded photographs and center crops, byte for byte.

import Foundation
import MVAR
import MVARComparison
import MVARFiles
import MVARMedia

/// The contents of `crops.json`.
private struct GoldenCrops: Decodable {
  struct Crop: Decodable {
    let sha256: String
    let size: [Int]?
  }
  let crops: [String: Crop]
}

extension Verifier {
  /// A list of crops or of schedules.
  package func verifyJSON(_ path: String) throws -> ComparisonReport {
    let data = Data(try RegularFile.contents(of: path))
    if let crops = try? GoldenCrops(strictly: [UInt8](data), subject: "it").crops {
      return try verify(crops, of: path)
    }
    return try verifySchedules(path, data)
  }

  private func verify(_ crops: [String: GoldenCrops.Crop], of path: String) throws -> ComparisonReport {
    let golden = URL(filePath: path).deletingLastPathComponent().deletingLastPathComponent()
    var rows = RowCollector(limits)
    for (name, expected) in crops.sorted(by: { $0.key < $1.key }) {
      do {
        guard let dot = name.lastIndex(of: ".") else { throw GoldenError(path, "names no photograph") }
        let what = String(name[name.index(after: dot)...])
        var image = try PixelImage.load(
          try photo(String(name[..<dot]), for: golden.appending(path: "x").path(percentEncoded: false)))
        if let side = Int(what) {
          image = try image.centerCrop(side)
        } else if let size = expected.size {
          rows.check("\(name) size", [image.width, image.height] == size, "\(image.width) × \(image.height)")
        }
        let ours = SHA256.hexDigest(image.pixels)
        rows.check(name, ours == expected.sha256, "sha256 \(ours.prefix(16))…")
      } catch {
        rows.notJudged(name, reasonOf(error))
      }
    }
    return ComparisonReport(subject: path, kind: "crops", rows: rows.rows)
  }
}
