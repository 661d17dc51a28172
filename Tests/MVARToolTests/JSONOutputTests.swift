// Every JSON that the program writes is read back by a strict parser: no key twice, no NaN, no escape or number that the format
// does not have.

import Foundation
import MVARCheckpoints
import MVARMedia
import MVARTestSupport
import Testing

@Suite("JSON is strict", .serialized)
struct JSONOutputTests {
  /// Reads text strictly.
  @discardableResult
  private func strict(_ text: String, _ name: String) -> StrictJSON? {
    do {
      return try StrictJSON(parsing: ByteRegion(Array(text.utf8)), subject: name, fractions: true)
    } catch {
      Issue.record("\(name): \(error): \(text.prefix(300))")
      return nil
    }
  }

  private func strict(file: String, in folder: String) throws {
    let text = try String(contentsOfFile: "\(folder)/\(file)", encoding: .utf8)
    #expect(strict(text, file) != nil)
  }

  private func run(_ arguments: [String], in folder: String, code: Int32 = 0) throws {
    let result = try Tool.run(arguments, in: folder)
    #expect(result.code == code, "\(arguments): \(result.errors)")
  }

  /// The metadata of a file that are objects or lists.
  private func strictMetadata(_ file: String, in folder: String) throws -> Set<String> {
    var found: Set<String> = []
    for (key, value) in try Checkpoint.open("\(folder)/\(file)").metadata
    where value.hasPrefix("{") || value.hasPrefix("[") {
      strict(value, "\(file): \(key)")
      found.insert(key)
    }
    return found
  }

  @Test("of trainings and evaluations, also with awkward class names and several micro-batches a step")
  func trainings() throws {
    try withTemporaryFolder { folder in
      for name in ["a \"quoted\" \\ name", "é\u{1F600}"] {
        try FileManager.default.createDirectory(atPath: "\(folder)/data/\(name)", withIntermediateDirectories: true)
        for number in 0..<10 {
          let pixels = (0..<16 * 16 * 3).map { UInt8(($0 * 7 + 31 * number + name.utf8.count) % 256) }
          try PixelImage(width: 16, height: 16, pixels: pixels).writePNG(to: "\(folder)/data/\(name)/\(number).png")
        }
      }
      let often = ["--validate-every", "2", "--picture-every", "0", "--never-flip", "a \"quoted\" \\ name"]
      try run(
        TrainingCommandTests.tokenizer + often + ["--steps", "4", "--revive-every", "2", "-o", "codes"], in: folder)
      try run(
        ["train", "--data", "data", "--tokenizer", "codes/tokenizer.safetensors", "--depth", "2", "--width", "32"]
          + ["--heads", "2", "--batch", "4"] + TrainingCommandTests.windows + often
          + ["--steps", "4", "--accumulate", "3", "--ratio-k", "2", "-o", "run"], in: folder)
      for run in ["codes", "run"] {
        let lines = try String(contentsOfFile: "\(folder)/\(run)/metrics.jsonl", encoding: .utf8).split(separator: "\n")
        // A line per step, and one after each validation.
        #expect(lines.count == 4 + 2)
        for line in lines { #expect(strict(String(line), "metrics.jsonl")?.members?.first?.key == "step") }
        #expect(try strictMetadata("\(run)/checkpoint.safetensors", in: folder).contains("settings"))
      }
      #expect(try strictMetadata("run/transformer.safetensors", in: folder) == ["class_names"])
      try run(
        ["evaluate", "--data", "data", "--tokenizer", "codes/tokenizer.safetensors", "--json", "report.json"],
        in: folder)
      try strict(file: "report.json", in: folder)
    }
  }

  @Test("of counts, comparisons, the judge and the catalog")
  func reports() throws {
    try withTemporaryFolder { folder in
      try run(["flops", "--json", "flops.json"], in: folder)
      try run(["golden", "list", "--json", "list.json"], in: folder)
      let model = Fixtures.path("emoji/transformer.safetensors")
      try run(["compare", "--model", model, "--batch", "1", "--rounds", "1", "--json", "compare.json"], in: folder)
      let cases = ["nan_out", "nan_all", "inf_out", "lin_ours_inf_grad", "zero_ours"].map {
        Fixtures.path("golden/verify/\($0).safetensors")
      }
      try run(["golden", "check", "--json", "check.json"] + cases, in: folder, code: 1)
      try run(["golden", "diff", cases[0], cases[1], "--json", "diff.json"], in: folder, code: 1)
      try run(
        [
          "golden", "run", "--operator", "silu", "--json", "run.json", "--", "/bin/sh", "-c",
          "printf '\"\\001\\n' >&2; exit 3",
        ],
        in: folder, code: 1)
      for name in ["flops", "list", "compare", "check", "diff", "run"] { try strict(file: "\(name).json", in: folder) }
      try run(["golden", "make", "--operator", "silu", "-o", "silu.safetensors"], in: folder)
      #expect(try strictMetadata("silu.safetensors", in: folder).contains("ops"))
    }
  }

  @Test("the strict parser refuses what it should")
  func parser() {
    func accepts(_ text: String) -> Bool {
      (try? StrictJSON(parsing: ByteRegion(Array(text.utf8)), subject: "it", fractions: true)) != nil
    }
    for text in ["0", "-0.5", "1e9", "1E-3", "1.25e+2", "18446744073709551615", "[1,{\"a\":null}]", "\"\\u00e9\""] {
      #expect(accepts(text), "\(text)")
    }
    for text in [
      "", "nan", "NaN", "inf", "1e999", "01", "1.", ".5", "1e", "+1", "{\"a\":1,\"a\":2}", "\"\\x\"", "\"\u{1}\"",
      "[1,]",
      "{\"a\":1,}", "\"\\ud800\"", "1 2",
    ] { #expect(!accepts(text), "\(text)") }
  }
}
