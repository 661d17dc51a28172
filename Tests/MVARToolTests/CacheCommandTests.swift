// `mvar cache` and `mvar train --cached`: tokens belong to an image and to a tokenizer, and nothing of the data is left out
// without a word.

import Foundation
import MVAR
import MVARCheckpoints
import MVARMedia
import MVARTestSupport
import TensorCore
import Testing

@Suite("Caching commands")
struct CacheCommandTests {
  /// Two classes of three images each, one of them in a folder of its class.
  private func writeImages(_ folder: String) throws {
    for (label, name) in ["a", "b"].enumerated() {
      try FileManager.default.createDirectory(atPath: "\(folder)/data/\(name)/more", withIntermediateDirectories: true)
      for (number, file) in ["1", "2", "more/1"].enumerated() {
        let pixels = (0..<16 * 16 * 3).map { UInt8(($0 * (7 + label) + 31 * number) % 256) }
        try PixelImage(width: 16, height: 16, pixels: pixels).writePNG(to: "\(folder)/data/\(name)/\(file).png")
      }
    }
  }

  private static let tokenizer = ["--tokenizer", Tool.tokenizer] + Tool.scales
  private static let cache = ["cache", "--data", "data", "--held-out", "0", "-o", "tokens"]

  /// The same sizes with other weights.
  private func otherTokenizer(_ folder: String) throws -> [String] {
    let configuration = TokenizerConfiguration(
      vocabulary: 64, codeWidth: 8, channels: 32, scaleList: try ScaleList([1, 2, 3, 4, 6, 8]))
    let model = try VQVAE(
      configuration, SeededSource<Reference<Float>>(seed: 1, .tokenizer, on: HostDevice()), on: HostDevice())
    let weights = try model.parameters.map { parameter in
      let key = CheckpointNames.key(of: parameter.name, in: .tokenizer)
      return (key, try StoredTensor(parameter.value.scalars(), shape: parameter.value.shape.dimensions))
    }
    try SafetensorsWriter.write(weights, to: "\(folder)/other.safetensors")
    return ["--tokenizer", "other.safetensors"] + Tool.scales
  }

  private func files(_ folder: String) throws -> [String: Data] {
    var found: [String: Data] = [:]
    for path in try FileManager.default.subpathsOfDirectory(atPath: folder) where path.hasSuffix(".npz") {
      found[path] = try Data(contentsOf: URL(filePath: "\(folder)/\(path)"))
    }
    return found
  }

  @Test("tokens of another tokenizer and of a replaced image are made again, and a training refuses them")
  func origins() throws {
    try withTemporaryFolder { folder in
      try writeImages(folder)
      let first = try Tool.run(Self.cache + Self.tokenizer, in: folder)
      #expect(first.code == 0 && first.output == "tokens\n" && first.errors == "", "\(first.errors)")
      let before = try files("\(folder)/tokens")
      #expect(
        before.keys.sorted() == [
          "train/a/1.npz", "train/a/2.npz", "train/a/more/1.npz", "train/b/1.npz", "train/b/2.npz",
          "train/b/more/1.npz",
        ])
      let reason = "because their file was damaged or of another image or tokenizer, 0 for the first time\n"
      let again = try Tool.run(Self.cache + Self.tokenizer, in: folder)
      #expect(again.errors == "tokens: 6 images were cached already, 0 again \(reason)")
      #expect(try files("\(folder)/tokens") == before)

      try FileManager.default.copyItem(atPath: "\(folder)/data/b/2.png", toPath: "\(folder)/new.png")
      unlink("\(folder)/data/a/2.png")
      try FileManager.default.moveItem(atPath: "\(folder)/new.png", toPath: "\(folder)/data/a/2.png")
      let replaced = try Tool.run(Self.cache + Self.tokenizer, in: folder)
      #expect(replaced.errors == "tokens: 5 images were cached already, 1 again \(reason)")
      let after = try files("\(folder)/tokens")
      #expect(after["train/a/2.npz"] == before["train/b/2.npz"] && after["train/a/1.npz"] == before["train/a/1.npz"])

      let other = try otherTokenizer(folder)
      let train = [
        "train", "--data", "tokens", "--cached", "--depth", "1", "--width", "32", "--heads", "1", "--steps", "1",
      ]
      let refused = try Tool.run(train + other + Tool.hints + ["-o", "run"], in: folder)
      #expect(refused.code == 1 && refused.output == "")
      #expect(
        refused.errors
          == "mvar: tokens/train/a/1.npz: holds the tokens of another tokenizer; mvar cache makes them again\n")
      #expect(!FileManager.default.fileExists(atPath: "\(folder)/run"))
      let remade = try Tool.run(Self.cache + other, in: folder)
      #expect(remade.errors == "tokens: 0 images were cached already, 6 again \(reason)")
      let accepted = try Tool.run(
        train + other + Tool.hints + ["--held-out", "0", "--batch", "2", "--picture-every", "0", "-o", "run"],
        in: folder)
      #expect(accepted.code == 0, "\(accepted.errors)")
    }
  }

  @Test("what is not used is counted and named, and what is cached without an image, too")
  func unused() throws {
    try withTemporaryFolder { folder in
      try writeImages(folder)
      try Data("x".utf8).write(to: URL(filePath: "\(folder)/data/a/x.webp"))
      try Data("x".utf8).write(to: URL(filePath: "\(folder)/data/a/notes.txt"))
      let refused = try Tool.run(Self.cache + Self.tokenizer, in: folder)
      #expect(refused.code == 1)
      #expect(
        refused.errors == "mvar: data: 2 files of 2 kinds are not used: .txt 1, .webp 1; images among them: a/x.webp\n")
      #expect(!FileManager.default.fileExists(atPath: "\(folder)/tokens"))
      let skipped = try Tool.run(Self.cache + Self.tokenizer + ["--bad-files", "skip"], in: folder)
      #expect(skipped.code == 0 && skipped.errors.hasSuffix("; images among them: a/x.webp\n"), "\(skipped.errors)")
      for name in ["x.webp", "notes.txt", "1.png"] { unlink("\(folder)/data/a/\(name)") }
      let fewer = try Tool.run(Self.cache + Self.tokenizer, in: folder)
      #expect(
        fewer.errors.hasSuffix(
          "tokens: 1 cached image belongs to no image of data, and a training would use what is cached; the first is "
            + "tokens/train/a/1.npz\n"), "\(fewer.errors)")
    }
  }

  @Test("an image that goes from one part to the other is in one of them only, or that is said")
  func parts() throws {
    try withTemporaryFolder { folder in
      try writeImages(folder)
      let command = ["cache", "--data", "data", "-o", "tokens"] + Self.tokenizer + ["--held-out"]
      #expect(try Tool.run(command + ["0"], in: folder).code == 0)
      let all = try files("\(folder)/tokens")
      let moved = try Tool.run(command + ["3"], in: folder)
      #expect(moved.code == 0)
      #expect(
        moved.errors.hasPrefix("tokens: 6 images were cached already, 0 again ")
          && moved.errors.hasSuffix(
            "tokens: 2 of them were in the other part, train or val, and moved to where the data now say\n"),
        "\(moved.errors)")
      let parts = try files("\(folder)/tokens")
      #expect(parts.keys.count { $0.hasPrefix("val/") } == 2)
      #expect(Set(parts.values) == Set(all.values) && parts.count == all.count)

      // In both parts, as a copy would leave it.
      let name = try #require(parts.keys.sorted().first { $0.hasPrefix("val/") })
      let copy = "tokens/train/\(name.dropFirst(4))"
      try FileManager.default.copyItem(atPath: "\(folder)/tokens/\(name)", toPath: "\(folder)/\(copy)")
      let twice = try Tool.run(command + ["3"], in: folder)
      #expect(
        twice.code == 0
          && twice.errors.hasSuffix(
            "tokens: 1 cached image has another file in the part that the data now say, and a training would use both; "
              + "the first is \(copy)\n"),
        "\(twice.errors)")
      let train = try Tool.run(
        ["train", "--data", "tokens", "--cached", "--depth", "1", "--width", "32", "--heads", "1", "--steps", "1"]
          + Self.tokenizer + Tool.hints + ["--batch", "2", "--picture-every", "0", "-o", "run"], in: folder)
      #expect(train.code == 0)
      #expect(
        train.errors.contains(
          "1 of 2 images for validation are also trained on, under the same name with the same tokens; the first is "
            + "\(name.dropFirst(4))\n"), "\(train.errors)")
    }
  }

  @Test("a folder of a class with the name that an image's file gets is refused before anything is written")
  func fileAndFolder() throws {
    try withTemporaryFolder { folder in
      try writeImages(folder)
      try FileManager.default.moveItem(atPath: "\(folder)/data/a/more", toPath: "\(folder)/data/a/1.npz")
      let both = try Tool.run(Self.cache + Self.tokenizer, in: folder)
      #expect(
        both.code == 1
          && both.errors
            == "mvar: tokens/train/a/1.npz: would be a file and a folder: an image and a folder of the class differ in "
            + "their ending only\n",
        "\(both.errors)")
      #expect(!FileManager.default.fileExists(atPath: "\(folder)/tokens"))
      try FileManager.default.moveItem(atPath: "\(folder)/data/a/1.npz", toPath: "\(folder)/data/a/more")
      try FileManager.default.createDirectory(
        atPath: "\(folder)/tokens/train/b/2.npz", withIntermediateDirectories: true)
      let taken = try Tool.run(Self.cache + Self.tokenizer, in: folder)
      #expect(
        taken.code == 1
          && taken.errors
            == "mvar: tokens/train/b/2.npz: is a folder, and the tokens of an image belong into a file of this name\n",
        "\(taken.errors)")
      #expect(
        try FileManager.default.subpathsOfDirectory(atPath: "\(folder)/tokens").sorted() == [
          "train", "train/b", "train/b/2.npz",
        ])
    }
  }

  @Test(
    "names of classes that would lead elsewhere write nothing there",
    arguments: [
      "../../../victim/x", "..", "", "a/b", "/tmp/x", "a\\u0000b", "a\\u001b[2Jb",
      String(repeating: "n", count: 10_000),
    ])
  func hostileNames(_ name: String) throws {
    try withTemporaryFolder { folder in
      for path in ["victim", "outer/deep/data"] {
        try FileManager.default.createDirectory(atPath: "\(folder)/\(path)", withIntermediateDirectories: true)
      }
      try PixelImage(width: 8, height: 8, filledWith: .white).writePNG(to: "\(folder)/outer/deep/data/a.png")
      let index =
        "{\"tile\": 8, \"columns\": 1, \"classes\": [{\"name\": \"\(name)\", \"file\": \"a.png\", \"count\": 1}]}"
      try Data(index.utf8).write(to: URL(filePath: "\(folder)/outer/deep/data/index.json"))
      let before = try FileManager.default.subpathsOfDirectory(atPath: folder).sorted()
      let result = try Tool.run(Self.cache + Self.tokenizer, in: "\(folder)/outer/deep")
      #expect(result.code == 1 && result.errors.hasPrefix("mvar: data/index.json: "), "\(result.errors)")
      #expect(result.errors.utf8.count < 1000 && !result.errors.contains("\u{1b}"))
      #expect(try FileManager.default.subpathsOfDirectory(atPath: folder).sorted() == before)
    }
  }
}
