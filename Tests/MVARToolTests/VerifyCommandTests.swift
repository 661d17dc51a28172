// `mvar verify` on golden files that once misled it: values that are not finite, bounds of zero, several cases of one
// operator, files without gradients, and cases that cannot be judged. Status 0, 1 or 2, and every other row is still
// present.

import Foundation
import MVARCheckpoints
import MVARTestSupport
import Testing

@Suite("Verify")
struct VerifyCommandTests {
  private func verify(_ files: [String], _ more: [String] = [], in folder: String = "/") throws -> Tool.Result {
    let result = try Tool.run(["verify"] + files + more, in: folder)
    #expect(!result.wasKilled)
    return result
  }

  /// The line of a tensor in the table, its columns separated by single spaces.
  private func row(_ name: String, _ result: Tool.Result) throws -> String {
    let lines = result.output.split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }
    let found = lines.filter { $0.split(separator: " ").dropFirst().first.map(String.init) == name }
    #expect(found.count == 1, "\(name): \(result.output)")
    return try #require(found.first)
  }

  private func golden(_ name: String) -> String { Fixtures.path("golden/verify/\(name)") }

  @Test("what is not finite fails at its place, and the other row is still judged")
  func notFinite() throws {
    for (name, count) in [("nan_out", "1 of 21"), ("nan_all", "21 of 21"), ("inf_out", "1 of 21")] {
      let result = try verify([golden("\(name).safetensors")])
      #expect(result.code == 1 && result.errors == "", "\(result.errors)")
      let out = try row("softmax.out", result)
      #expect(
        out.hasPrefix("FAIL ") && out.contains(": the expected value is not finite, \(count) not finite"), "\(out)")
      if name == "nan_out" { #expect(out.contains(" at [1, 2]: 0.") && out.contains(", expected nan: ")) }
      if name == "nan_all" { #expect(out.contains(" at [0, 0]: 0.")) }
      if name == "inf_out" { #expect(out.contains(", expected inf: ")) }
      #expect(try row("softmax.grad.x", result).hasPrefix("pass "))
      #expect(result.output.hasSuffix("1 passed, 1 failed, 0 not checked in 1 file\n"))
    }
    let ours = try verify([golden("lin_ours_inf_grad.safetensors")])
    #expect(ours.code == 1)
    #expect(try row("linear.out", ours).hasPrefix("pass "))
    for letter in ["b", "w", "x"] {
      let line = try row("linear.grad.\(letter)", ours)
      #expect(line.hasPrefix("FAIL ") && line.contains(": the value found is not finite, "), "\(line)")
    }
  }

  @Test("equal infinities pass, opposite ones do not")
  func infinities() throws {
    try withTemporaryFolder { folder in
      func write(_ out: [Float], _ name: String) throws {
        let x = try StoredTensor([Float.infinity, 1, -2], shape: [3])
        try SafetensorsWriter.write(
          [("silu.in.x", x), ("silu.out", try StoredTensor(out, shape: [3]))],
          metadata: ["kind": "ops", "ops": "{\"silu\": {}}"], to: "\(folder)/\(name).safetensors")
      }
      try write([.infinity, 0.731_058_6, -0.238_405_84], "equal")
      try write([-.infinity, 0.731_058_6, -0.238_405_84], "opposite")
      try write([1e30, 0.731_058_6, -0.238_405_84], "finite")
      #expect(try verify(["equal.safetensors"], in: folder).code == 0)
      for name in ["opposite", "finite"] {
        let result = try verify(["\(name).safetensors"], in: folder)
        #expect(result.code == 1)
        #expect(try row("silu.out", result).contains(" at [0]: inf, expected "))
      }
    }
  }

  @Test("a gradient of zeros does not stand for another, and zero equals zero")
  func zeros() throws {
    let zero = try verify([golden("zero_ours.safetensors")])
    #expect(zero.code == 1)
    #expect(try row("softmax.out", zero).hasPrefix("pass "))
    let line = try row("softmax.grad.x", zero)
    #expect(line.hasPrefix("FAIL ") && line.hasSuffix("; every value found is zero"), "\(line)")
    let decay = try verify([golden("zero_decay_schedules.json")])
    #expect(decay.code == 0 && decay.output.hasSuffix("6 passed, 0 failed, 0 not checked in 1 file\n"), "\(decay)")
  }

  @Test("several cases of one operator, and a file without gradients")
  func cases() throws {
    let good = try verify([golden("good.safetensors")])
    #expect(good.code == 0 && good.output.hasSuffix("2 passed, 0 failed, 0 not checked in 1 file\n"))
    let two = try verify([golden("lin2.safetensors")])
    #expect(two.code == 0 && two.output.hasSuffix("8 passed, 0 failed, 0 not checked in 1 file\n"), "\(two)")
    #expect(try row("linear_2.grad.w", two).hasPrefix("pass "))
    let forward = try verify([golden("fwdonly.safetensors")])
    #expect(forward.code == 0)
    #expect(try row("silu.out", forward).hasPrefix("pass "))
    #expect(try row("silu.grad.x", forward) == "---- silu.grad.x not in the file")
  }

  @Test("what cannot be judged has a sentence and status 2; a failure elsewhere wins")
  func notJudged() throws {
    let large = try verify([golden("winbig.safetensors")])
    #expect(large.code == 2)
    #expect(
      try row("window_attention_3_5", large)
        == "---- window_attention_3_5 not checked: a window of 5 does not fit a map of 3 × 3")
    let typo = try verify([golden("wintypo.safetensors")])
    #expect(typo.code == 2)
    #expect(
      try row("window_attention_x", typo) == "---- window_attention_x not checked: unknown attribute `window`")
    let names = ["good", "winbig", "nan_out"].map { golden("\($0).safetensors") }
    #expect(try verify(Array(names.prefix(2))).code == 2)
    #expect(try verify(names + ["absent.safetensors"]).code == 1)
    let part = try verify([names[0], "absent.safetensors"])
    #expect(
      part.code == 2 && part.output.hasSuffix("2 passed, 0 failed, 0 not checked in 2 files, 1 of them unusable\n"))
  }

  @Test("an operator's shapes that do not fit are its own fault")
  func shapes() throws {
    try withTemporaryFolder { folder in
      let source = try Checkpoint.open(Fixtures.path("golden/ops.safetensors"))
      let whole = try verify([Fixtures.path("golden/ops.safetensors"), "--summary"])
      #expect(whole.code == 0 && whole.output.hasSuffix("74 passed, 0 failed, 0 not checked in 1 file\n"))
      let inputs = source.tensors.map(\.name).filter { $0.contains(".in.") || $0.hasSuffix(".grad_out") }
      for (number, name) in inputs.enumerated() where number % 3 == 0 || name.hasPrefix("linear") {
        let operatorName = String(name[..<(name.range(of: ".in.") ?? name.range(of: ".grad_out")!).lowerBound])
        for shape in [[], [0], [77]] {
          var tensors = source.tensors
          try BadFiles.replace(name, in: &tensors) { _ in
            try StoredTensor([Float](repeating: 1, count: shape.reduce(1, *)), shape: shape)
          }
          try SafetensorsWriter.write(tensors, metadata: source.metadata, to: "\(folder)/bad.safetensors")
          let result = try verify(["bad.safetensors"], in: folder)
          #expect(result.code == 2 && result.errors == "", "\(name) \(shape): \(result.errors)")
          #expect(try row(operatorName, result).hasPrefix("---- "))
          #expect(result.output.hasSuffix(" passed, 0 failed, 1 not checked in 1 file\n"), "\(name) \(shape)")
        }
      }
    }
  }

  @Test("an mvar file without gradients is judged on logits and loss")
  func withoutGradients() throws {
    try withTemporaryFolder { folder in
      let source = try Checkpoint.open(Fixtures.path("golden/tiny_znorm.mvar.safetensors"))
      let tensors = source.tensors.filter { !$0.name.contains(".grad.") }
      #expect(tensors.count < source.tensors.count)
      var metadata = source.metadata
      metadata["grad_l2_norms"] = nil
      try SafetensorsWriter.write(tensors, metadata: metadata, to: "\(folder)/a.mvar.safetensors")
      let result = try verify(["a.mvar.safetensors"], in: folder)
      #expect(result.code == 0, "\(result)")
      #expect(try row("segment.0.logits", result).hasPrefix("pass "))
      #expect(try row("segment.0.loss", result).hasPrefix("pass "))
      #expect(try row("segment.0.grad.*", result) == "---- segment.0.grad.* not in the file")

      // The parts without the norms are still compared, and a golden norm that is not finite fails only its own row.
      var changed = source.tensors
      let name = try #require(changed.first { $0.name.contains(".grad.") }).name
      try BadFiles.replace(name, in: &changed) {
        var values = try $0.floats()
        values[0] = .nan
        return try StoredTensor(values, shape: $0.shape)
      }
      try SafetensorsWriter.write(changed, metadata: metadata, to: "\(folder)/b.mvar.safetensors")
      let other = try verify(["b.mvar.safetensors"], ["--quiet"], in: folder)
      #expect(other.code == 1 && other.output.hasSuffix(" passed, 1 failed, 0 not checked in 1 file\n"), "\(other)")
    }
  }

  @Test("probabilities that were cut off or are wrong by a third fail")
  func probabilities() throws {
    try withTemporaryFolder { folder in
      // 4096 codes: a uniform fraction is 2.4e-4, close to the absolute tolerance of other values.
      let logits = (0..<4096).map { Float(2.5 * sin(Double($0) * 12.9898)) }
      let powers = logits.map { exp(Double($0)) }
      let sum = powers.reduce(0, +)
      func write(_ name: String, _ change: (Int, Double) -> Double) throws {
        let values = powers.enumerated().map { Float(change($0.offset, $0.element / sum)) }
        try SafetensorsWriter.write(
          [
            ("logits", try StoredTensor(logits, shape: [1, 4096])),
            ("topk0.topp0.0.probs", try StoredTensor(values, shape: [1, 4096])),
          ], metadata: ["kind": "filter"], to: "\(folder)/\(name).safetensors")
      }
      try write("good") { $1 }
      try write("cut") { $1 < 2e-4 ? 0 : $1 }
      try write("noise") { $1 * ($0 % 2 == 0 ? 1.32 : 0.68) }
      #expect(try verify(["good.safetensors"], in: folder).code == 0)
      #expect(try verify(["cut.safetensors"], in: folder).code == 1)
      #expect(try verify(["noise.safetensors"], in: folder).code == 1)
    }
  }
}
