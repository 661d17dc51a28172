// `mvar mask`, `mvar attention` and `mvar flops`: images and tables of what the patterns see and cost.

import Foundation
import MVARMedia
import MVARTestSupport
import Testing

@Suite struct ImageCommandTests {
  private func succeed(_ arguments: [String], in folder: String) throws -> String {
    let result = try Tool.run(arguments, in: folder)
    #expect(result.code == 0, "\(arguments): \(result.errors)")
    return result.output
  }

  @Test func maskCountsPairsAndDrawsThem() throws {
    try withTemporaryFolder { folder in
      let output = try succeed(["mask", "-o", "out.png"], in: folder)
      // Σ over scales of tokens × keys: 680 tokens of the published list.
      for count in ["286,434", "110,468", "37,196"] { #expect(output.contains(count), "\(output)") }
      let image = try PixelImage.load("\(folder)/out.png")
      #expect(image.width > 3 * 680 && image.height > 680)
    }
  }

  @Test(arguments: ["mvar", "var"])
  func attentionOfTheShippedModelLooksAtItsScales(_ pattern: String) throws {
    try withTemporaryFolder { folder in
      let output = try succeed(
        ["attention", "--attention", pattern, "--count", "3", "-o", "out.png"], in: folder)
      #expect(output.split(separator: "\n").count >= 11)
      #expect(try PixelImage.load("\(folder)/out.png").width > 400)
    }
  }

  @Test func flopsPrintsThePapersNumbers() throws {
    try withTemporaryFolder { folder in
      let output = try succeed(["flops", "--batch", "32", "-o", "out.png", "--json", "out.json"], in: folder)
      // The paper cuts 37.845 off to 37.84; here it is rounded.
      for number in ["43.61", "37.85", "35.44", "5704"] { #expect(output.contains(number), "\(output)") }
      #expect(try PixelImage.load("\(folder)/out.png").width > 400)
      let json = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(filePath: "\(folder)/out.json")))
      #expect(json is [String: Any] || json is [Any])
    }
  }

  @Test(arguments: [
    (["mask", "--window", "14", "-o", "a.png"], 64, "a window of 14 does not fit"),
    (["mask", "--side", "10", "-o", "a.png"], 64, "--side is 10"),
    (["mask", "-o", "a.gif"], 1, "must end in .png"),
    (
      ["attention", "--model", "seeded:d16", "-o", "a.png"], 64,
      "deterministic pseudo-random weights have learned nothing"
    ),
    (["attention", "--data", "absent", "-o", "a.png"], 1, "absent"),
    (["attention", "--count", "0", "-o", "a.png"], 64, "--count is 0"),
    (["flops", "--depth", "0"], 64, "--depth is 0"),
    (["flops", "--depth", "16", "--model", "a.pth"], 64, "use either --depth or --model"),
    (["flops", "--model", "a.pth"], 1, "a.pth"),
    (["flops", "--patch-nums", "2,1"], 64, "--patch-nums"),
    (["flops", "--json", "a.txt"], 1, "must end in .json"),
  ])
  func bad(input: ([String], Int32, String)) throws {
    try withTemporaryFolder { folder in
      let result = try Tool.run(input.0, in: folder)
      #expect(result.code == input.1, "\(result.errors)")
      #expect(result.errors.hasPrefix("mvar: ") && result.errors.contains(input.2), "\(result.errors)")
      #expect(result.errors.split(separator: "\n").count == 1 && result.output.isEmpty)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
  }
}
