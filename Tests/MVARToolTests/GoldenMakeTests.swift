// `mvar golden list` and `mvar golden make`: what they print and write, that the files pass on every engine, and one
// sentence for what cannot be made.

import Foundation
import MVARCheckpoints
import MVARTestSupport
import OperatorCases
import Testing

@Suite("Golden, list and make")
struct GoldenMakeTests {
  private func golden(_ arguments: [String], in folder: String = "/") throws -> Tool.Result {
    let result = try Tool.run(["golden"] + arguments, in: folder)
    #expect(!result.wasKilled)
    return result
  }

  @Test func list() throws {
    let all = try golden(["list"])
    #expect(all.code == 0 && all.errors.isEmpty)
    for specification in OperatorCatalog.all {
      #expect(all.output.contains("\(specification)\n  \(specification.formula)\n"))
    }
    let one = try golden(["list", "neighborhoodAttention"])
    #expect(one.code == 0)
    for text in [
      "neighborhoodAttention(queries, keys, values) → output", "  queries [B, H, W, heads, c]\n",
      "  window: an integer, 1 … 1048576; required; the side of the window, odd or even\n",
      "queries [1, 4, 7, 2, 5]  keys [1, 4, 7, 2, 5]  values [1, 4, 7, 2, 5]  window=4  softmaxScale=0.35\n",
    ] { #expect(one.output.contains(text), "\(text)") }
    let unknown = try golden(["list", "natten"])
    #expect(unknown.code == 64)
    #expect(unknown.errors == "mvar: there is no operator \"natten\"; `mvar golden list` shows all of them\n")
  }

  @Test func listAsJSON() throws {
    try withTemporaryFolder { folder in
      #expect(try golden(["list", "--json", "a.json"], in: folder).output == "a.json\n")
      let data = try Data(contentsOf: URL(filePath: "\(folder)/a.json"))
      let document = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
      let operators = try #require(document["operators"] as? [[String: Any]])
      #expect(operators.compactMap { $0["name"] as? String } == OperatorCatalog.all.map(\.name))
      let loss = try #require(operators.first { $0["name"] as? String == "crossEntropy" })
      let inputs = try #require(loss["inputs"] as? [[String: Any]])
      #expect(inputs[1]["integers_below"] as? String == "V" && inputs[0]["integers_below"] is NSNull)
      let cases = OperatorCases.all.filter { $0.operatorName == "crossEntropy" }
      #expect((loss["cases"] as? [[String: Any]])?.compactMap { $0["name"] as? String } == cases.map(\.name))
    }
  }

  @Test("All cases pass on cpu and reference")
  func allCases() throws {
    try withTemporaryFolder { folder in
      for (dtype, file) in [("float32", "a.safetensors"), ("bfloat16", "b.npz"), ("float64", "d.safetensors")] {
        let made = try golden(["make", "--all-cases", "-o", file, "--dtype", dtype], in: folder)
        #expect(made.code == 0 && made.errors.isEmpty && made.output.hasPrefix("\(file): "), "\(made)")
        for device in ["cpu", "reference"] {
          let result = try golden(["check", file, "--device", device, "--quiet"], in: folder)
          #expect(
            result.code == 0 && result.output.contains(" 0 failed, 0 not checked in 1 file\n"), "\(result.output)")
        }
      }
    }
  }

  @Test func randomInputs() throws {
    try withTemporaryFolder { folder in
      let arguments = [
        "make", "--operator", "neighborhoodAttention", "--shape", "keys=1,6,5,2,4", "--attribute", "window=4",
        "--attribute", "softmaxScale=0.5", "--count", "3", "--seed", "18446744073709551615", "--dtype", "tf32",
      ]
      let made = try golden(arguments + ["-o", "a.safetensors"], in: folder)
      #expect(made.code == 0 && made.output == "a.safetensors: 3 cases, tf32\n", "\(made)")
      let file = try Checkpoint.open("\(folder)/a.safetensors")
      #expect(file.metadata["seed"] == "18446744073709551615")
      #expect(file["neighborhoodAttention [1, 6, 5, 2, 4], seed 1.in.queries"]?.shape == [1, 6, 5, 2, 4])
      // An existing file is replaced, by the same bytes.
      let before = try Data(contentsOf: URL(filePath: "\(folder)/a.safetensors"))
      #expect(try golden(arguments + ["-o", "a.safetensors"], in: folder).code == 0)
      #expect(try Data(contentsOf: URL(filePath: "\(folder)/a.safetensors")) == before)
      #expect(try golden(["check", "a.safetensors"], in: folder).code == 0)
      let linear = ["make", "--operator", "linear", "--shape", "x=4,9", "--without", "bias", "-o", "b.npz"]
      #expect(try golden(linear, in: folder).code == 0)
      let result = try golden(["check", "b.npz"], in: folder)
      #expect(result.code == 0 && result.output.hasSuffix("3 passed, 0 failed, 0 not checked in 1 file\n"), "\(result)")
    }
  }

  @Test func largeCasesThatAreKept() throws {
    try withTemporaryFolder { folder in
      let arguments = ["make", "--all-cases", "--operator", "silu", "--largest", "10", "-o", "a.safetensors"]
      let few = try golden(arguments, in: folder)
      let more = try golden(arguments + ["--keeping", #"\[33\]$"#, "--keeping", "5, 13"], in: folder)
      #expect(few.output == "a.safetensors: 3 cases, float32\n" && few.code == 0, "\(few)")
      #expect(more.output == "a.safetensors: 5 cases, float32\n" && more.code == 0, "\(more)")
    }
  }

  @Test(arguments: [
    (["-o", "a.safetensors"], "use --operator, --all-cases, --model or --like"),
    (["--operator", "natten", "-o", "a.npz"], "there is no operator \"natten\"; `mvar golden list` shows all of them"),
    (["--all-cases", "--seed", "1", "-o", "a.npz"], "--seed is for random inputs, and --all-cases has none"),
    (["--operator", "silu", "--shape", "x", "-o", "a.npz"], "--shape is \"x\"; write something such as x=2,3,4"),
    (["--operator", "silu", "--shape", "x=2,-3", "-o", "a.npz"], "--shape is \"x=2,-3\"; write sides such as x=2,3,4"),
    (
      ["--operator", "silu", "--shape", "x=100000,100000", "-o", "a.npz"],
      "--shape x=100000,100000: is larger than 268435456 elements"
    ),
    (["--operator", "silu", "--shape", "x=2", "--shape", "x=3", "-o", "a.npz"], "--shape gives x twice"),
    (["--operator", "silu", "--attribute", "a=1", "-o", "a.npz"], "--attribute: silu has no attribute \"a\""),
    (
      ["--operator", "softmax", "--dtype", "int8", "-o", "a.npz"],
      "The value 'int8' is invalid for '--dtype <dtype>'; use one of 'float64', 'float32', 'tf32', 'bfloat16' or "
        + "'float16'"
    ),
    (
      ["--operator", "layerNorm", "--attribute", "epsilon=nan", "-o", "a.npz"],
      "--attribute: the attribute `epsilon` is nan, and must be a number, at least 0"
    ),
    (["--operator", "silu", "--count", "0", "-o", "a.npz"], "--count is 0; use a number from 1 to 10000"),
    (["--all-cases", "--keeping", "silu", "-o", "a.npz"], "--keeping is for --largest"),
    (["--model", "mvar", "--width", "0", "-o", "a.npz"], "--width is 0; use a positive number"),
    (["--model", "mvar", "--width", "1000000000", "-o", "a.npz"], "--width is 1000000000; use at most 1000000"),
  ])
  func wrongArguments(arguments: [String], sentence: String) throws {
    try withTemporaryFolder { folder in
      let result = try golden(["make"] + arguments, in: folder)
      #expect(result.code == 64 && result.errors == "mvar: \(sentence)\n", "\(result)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
  }

  @Test(arguments: [
    (["--operator", "silu", "-o", "a.txt"], "a.txt: the name of the output must end in .safetensors or .npz"),
    (["--operator", "attention", "-o", "a.npz"], "attention: needs the attribute `softmaxScale`"),
    (["--operator", "silu", "--shape", "y=1", "-o", "a.npz"], "silu: unknown input `y`"),
    (
      [
        "--operator", "neighborhoodAttention", "--attribute", "window=99", "--attribute", "softmaxScale=1", "-o",
        "a.npz",
      ],
      "neighborhoodAttention: a window of 99 does not fit a map of 8 × 9"
    ),
    (["--operator", "linear", "--without", "x", "-o", "a.npz"], "linear: the input `x` cannot be left out"),
    (
      ["--operator", "multiply", "--attribute", "alpha=1e9", "--dtype", "float16", "-o", "a.npz"],
      "a.npz: is not written, since no case is left"
    ),
  ])
  func whatCannotBeMade(arguments: [String], sentence: String) throws {
    try withTemporaryFolder { folder in
      let result = try golden(["make"] + arguments, in: folder)
      #expect(result.code == 1 && result.errors.hasSuffix("mvar: \(sentence)\n"), "\(result)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
  }
}
