// `mvar golden check` and `mvar golden diff`: verdicts and exit statuses, the files for other programs, and one sentence
// for everything that cannot be judged.

import Foundation
import MVARCheckpoints
import MVARTestSupport
import Testing

#if canImport(FoundationXML)
  import FoundationXML
#endif

@Suite("Golden")
struct GoldenCommandTests {
  private typealias Tensors = [(name: String, tensor: StoredTensor)]

  private func golden(_ arguments: [String], in folder: String) throws -> Tool.Result {
    let result = try Tool.run(["golden"] + arguments, in: folder)
    #expect(!result.wasKilled)
    return result
  }

  private func lines(_ result: Tool.Result) -> [String] {
    result.output.split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }
  }

  /// Three tensors: two of numbers and one of integers.
  private func tensors(_ numbers: [Float] = [1, -2, 3, 4], _ integers: [Int] = [7, 8]) throws -> Tensors {
    [
      ("a", try StoredTensor(numbers, shape: [2, 2])), ("b", try StoredTensor([Float(0.5)], shape: [])),
      ("tokens", try StoredTensor(integers, shape: [2])),
    ]
  }

  // MARK: check

  @Test("verify is another name of check, with the same output")
  func names() throws {
    let file = Fixtures.path("golden/verify/lin2.safetensors")
    let (check, verify) = (try golden(["check", file], in: "/"), try Tool.run(["verify", file], in: "/"))
    #expect(check.code == 0 && check.output == verify.output)
    let head = try #require(lines(check).dropFirst().first)
    #expect(head == "tensor absolute relative of the bar worst outside bar")
    #expect(lines(check).contains { $0.hasPrefix("pass linear.out ") && $0.contains("0 of ") && $0.contains(" at [") })
  }

  @Test("rows by a regular expression, and files for other programs")
  func files() throws {
    try withTemporaryFolder { folder in
      let inputs = ["good", "nan_out", "winbig"].map { Fixtures.path("golden/verify/\($0).safetensors") }
      let result = try golden(["check"] + inputs + ["--json", "a.json", "--junit", "a.xml"], in: folder)
      #expect(result.code == 1)
      let text = try String(contentsOfFile: "\(folder)/a.json", encoding: .utf8)
      let json = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
      #expect(json["exit_status"] as? Int == 1 && text.contains("\"expected\" : \"nan\""))
      let xml = try XMLDocument(contentsOf: URL(filePath: "\(folder)/a.xml"))
      #expect(try xml.nodes(forXPath: "//testsuite").count == 3)
      #expect(try xml.nodes(forXPath: "//testcase").count == 5)
      #expect(try xml.nodes(forXPath: "//failure").count == 1 && xml.nodes(forXPath: "//error").count == 1)

      let some = try golden(["check"] + inputs + ["--only", #"\.grad\."#], in: folder)
      #expect(some.code == 0 && some.output.hasSuffix("2 passed, 0 failed, 0 not checked in 3 files\n"), "\(some)")
      let none = try golden(["check"] + inputs + ["--only", "nothing"], in: folder)
      #expect(none.code == 2 && none.output == "")
      #expect(none.errors == "mvar: --only \"nothing\" is found in the name of no row\n")
      let wrong = try golden(["check"] + inputs + ["--only", "a(b"], in: folder)
      #expect(wrong.code == 64 && wrong.errors.hasPrefix("mvar: --only is \"a(b\", which is no regular expression"))
      #expect(wrong.errors.split(separator: "\n").count == 1)
    }
  }

  @Test("limits take the place of the bars', and are named; zero lets only equal values pass")
  func limits() throws {
    let file = Fixtures.path("golden/verify/lin2.safetensors")
    let loose = try golden(["check", file, "--rtol", "0.5", "--atol", "1"], in: "/")
    #expect(loose.code == 0 && loose.output.contains("1 + 0.5·|expected|: set by the user, instead of "))
    let tight = try golden(["check", file, "--atol", "0", "--quiet"], in: "/")
    #expect(tight.code == 1 && tight.output.contains("equal: set by the user, instead of "), "\(tight)")
    let wrong = try golden(["check", file, "--rtol=-1"], in: "/")
    #expect(wrong.code == 64 && wrong.errors.contains("--rtol is -1.0; use a number that is not negative"))
  }

  @Test("an output that cannot be written is refused at once")
  func outputs() throws {
    let file = Fixtures.path("golden/verify/good.safetensors")
    let result = try golden(["check", file, "--json", "/nowhere/a.json"], in: "/")
    #expect(
      result.code == 2 && result.output == "" && result.errors.hasPrefix("mvar: /nowhere/a.json: cannot be written"))
    let ending = try golden(["check", file, "--junit", "a.txt"], in: "/")
    #expect(ending.code == 2 && ending.errors == "mvar: a.txt: the name of the output must end in .xml\n")
  }

  @Test(
    "a standard output that cannot be written is no difference, and the files are written",
    arguments: ["/dev/full", "closed"], ["check $0 \"$1\"", "diff $0 \"$1\" \"$1\"", "run --operator silu $0 -- true"])
  func fullOutput(_ output: String, _ command: String) throws {
    try withTemporaryFolder { folder in
      let file = Fixtures.path("golden/verify/good.safetensors")
      let redirection = output == "closed" ? "| sh -c 'exec <&-'" : "> \(output)"
      // Later than the reader's end.
      let run = "{ sleep 0.5; \"$MVAR\" golden \(command); echo \"status $?\" >&2; } \(redirection)"
      func script(_ options: String) -> String { run.replacing("$0", with: options).replacing("$1", with: file) }
      let result = try Tool.shell("\(script(""))\n\(script("--json a.json --junit a.xml"))\nls", in: folder)
      let complaint = output == "closed" ? "" : "mvar: standard output cannot be written: No space left on device\n"
      #expect(result.errors == String(repeating: "\(complaint)status 2\n", count: 2))
      #expect(result.output == "a.json\na.xml\n")
    }
  }

  // MARK: diff

  @Test("equal files of different formats, orders and types")
  func equal() throws {
    try withTemporaryFolder { folder in
      let tensors = try tensors()
      try SafetensorsWriter.write(tensors, to: "\(folder)/a.safetensors")
      try SafetensorsWriter.write(tensors.reversed(), to: "\(folder)/b.safetensors")
      try NPZWriter.write(tensors, to: "\(folder)/c.npz")
      let half = try tensors.map { ($0.name, $0.name == "tokens" ? $0.tensor : try $0.tensor.converted(to: .bfloat16)) }
      try SafetensorsWriter.write(half, to: "\(folder)/d.safetensors")
      for other in ["b.safetensors", "c.npz", "d.safetensors"] {
        let result = try golden(["diff", "a.safetensors", other], in: folder)
        #expect(
          result.code == 0 && result.output.hasSuffix("3 passed, 0 failed, 0 not checked in 1 file\n"), "\(result)")
      }
      let result = try golden(["diff", "a.safetensors", "d.safetensors"], in: folder)
      #expect(result.output.contains("eight roundings to bfloat16, relative to the largest expected magnitude"))
      #expect(result.output.contains("; bfloat16 found, float32 expected"))
    }
  }

  @Test("values, integers, shapes, missing and extra tensors")
  func different() throws {
    try withTemporaryFolder { folder in
      try SafetensorsWriter.write(
        try tensors() + [("only", StoredTensor([1.0], shape: [1]))], to: "\(folder)/a.safetensors")
      var other = try tensors([1, -2, 3.001, .nan], [7, 9])
      other[1].tensor = try StoredTensor([Float(0.5)], shape: [1])
      try SafetensorsWriter.write(other + [("more", StoredTensor([1.0], shape: [1]))], to: "\(folder)/b.safetensors")
      let result = try golden(["diff", "a.safetensors", "b.safetensors"], in: folder)
      let rows = lines(result)
      #expect(result.code == 1 && rows.last == "0 passed, 5 failed, 0 not checked in 1 file")
      for expected in [
        "FAIL a inf inf ∞ at [1, 1]: nan, expected 4.0: the value found is not finite, 1 of 4 not finite 2 of 4 ",
        "FAIL b shape [1], expected []", "FAIL only missing: b.safetensors has no such tensor",
        "FAIL more extra: a.safetensors has no such tensor",
        "FAIL tokens 1.00e+00 1.25e-01 ∞ at [1]: 9.0, expected 8.0 1 of 2 equal: integers are equal",
      ] {
        #expect(rows.contains { $0.hasPrefix(expected) }, "\(expected): \(result.output)")
      }
      #expect(
        try golden(["diff", "a.safetensors", "b.safetensors", "--only", "^a$", "--rtol", "1"], in: folder).code == 1)
    }
  }

  @Test("the first difference in the order of execution")
  func first() throws {
    try withTemporaryFolder { folder in
      let names = ["norm", "attention", "fc1", "fc2"]
      func write(_ path: String, _ values: [Float], order: [String]?) throws {
        let tensors = try zip(names, values).map { ($0, try StoredTensor([$1], shape: [1])) }
        let metadata = order.map { ["order": "[\($0.map { "\"\($0)\"" }.joined(separator: ", "))]"] } ?? [:]
        try SafetensorsWriter.write(tensors.sorted { $0.0 < $1.0 }, metadata: metadata, to: "\(folder)/\(path)")
      }
      try write("a.safetensors", [1, 2, 3, 4], order: names)
      try write("b.safetensors", [1, 2, 3.1, 4.1], order: nil)
      try write("c.safetensors", [1, 2, 3, 4], order: nil)
      for files in [["a.safetensors", "b.safetensors"], ["b.safetensors", "a.safetensors"]] {
        let result = try golden(["diff"] + files + ["--first"], in: folder)
        #expect(result.code == 1)
        #expect(lines(result).first == "first difference: fc1, tensor 3 of 4 in the order of execution", "\(result)")
        #expect(lines(result).last == "2 passed, 1 failed, 0 not checked in 1 file")
        #expect(lines(result).count { $0.hasPrefix("FAIL ") } == 1 && !result.output.contains("pass "))
      }
      let same = try golden(["diff", "a.safetensors", "c.safetensors", "--first"], in: folder)
      #expect(same.code == 0 && lines(same).first == "no difference in 4 tensors")
      // Without an order, that of the file.
      let file = try golden(["diff", "c.safetensors", "b.safetensors", "--first"], in: folder)
      #expect(lines(file).first == "first difference: fc1, tensor 2 of 4 in the order of execution")
    }
  }

  @Test("what was not judged is no agreement")
  func firstOfUnknown() throws {
    try withTemporaryFolder { folder in
      func write(_ path: String, _ values: [Float], bars: String = "{}") throws {
        let tensors = try zip(["a", "b", "c"], values).map { ($0, try StoredTensor([$1], shape: [1])) }
        try SafetensorsWriter.write(tensors, metadata: ["bars": bars], to: "\(folder)/\(path)")
      }
      try write("a.safetensors", [1, 2, 3], bars: #"{"a": {"absolute": -1}}"#)
      try write("b.safetensors", [7, 2, 3])
      try write("c.safetensors", [7, 2, 4])
      let unknown = try golden(["diff", "a.safetensors", "b.safetensors", "--first"], in: folder)
      #expect(unknown.code == 2, "\(unknown)")
      #expect(lines(unknown).first == "no difference in 2 of 3 tensors; 1 was not judged")
      let later = try golden(["diff", "a.safetensors", "c.safetensors", "--first"], in: folder)
      #expect(later.code == 1, "\(later)")
      #expect(
        lines(later).first
          == "first difference: c, tensor 3 of 3 in the order of execution; 1 before it was not judged")
      let none = try golden(["diff", "a.safetensors", "b.safetensors", "--first", "--only", "z"], in: folder)
      #expect(none.code == 2 && none.output == "", "\(none)")
      #expect(none.errors == "mvar: --only \"z\" is found in the name of no row\n")
      let one = try golden(["diff", "a.safetensors", "b.safetensors", "--first", "--only", "b"], in: folder)
      #expect(one.code == 0 && lines(one).first == "no difference in 1 tensor", "\(one)")
    }
  }

  @Test("integers beside floating-point numbers are compared as what they are")
  func integersBesideNumbers() throws {
    try withTemporaryFolder { folder in
      let pairs: [(integer: Int, number: Double, isEqual: Bool)] = [
        (7, 7, true), (7, 7.5, false), (1 << 53, 0x1p53, true), (1 << 53 + 1, 0x1p53, false),
        (1 << 53 + 1, 0x1p53 + 2, false), (.max, 0x1p63, false), (.min, -0x1p63, true),
        (-(1 << 53) - 1, -0x1p53, false),
      ]
      for (integer, number, isEqual) in pairs {
        try SafetensorsWriter.write([("a", StoredTensor([integer], shape: [1]))], to: "\(folder)/a.safetensors")
        try SafetensorsWriter.write([("a", StoredTensor([number], shape: [1]))], to: "\(folder)/b.safetensors")
        for files in [["a.safetensors", "b.safetensors"], ["b.safetensors", "a.safetensors"]] {
          let result = try golden(["diff"] + files, in: folder)
          #expect(result.code == (isEqual ? 0 : 1), "\(integer) \(number): \(result)")
        }
      }
    }
  }

  @Test("bars in the metadata of the first file")
  func bars() throws {
    try withTemporaryFolder { folder in
      let ops = """
        {"x": {"operator": "silu", "bars": {"out": {"absolute": 0.25, "relative": 0, "reason": "a quarter"}, \
        "grad.x": {"absolute": -1, "relative": 0, "reason": "none"}}}}
        """
      func tensors(_ value: Float) throws -> Tensors {
        try ["x.out", "x.grad.x", "y"].map { ($0, try StoredTensor([value], shape: [1])) }
      }
      try SafetensorsWriter.write(try tensors(1), metadata: ["ops": ops], to: "\(folder)/a.safetensors")
      try SafetensorsWriter.write(try tensors(1.2), metadata: ["ops": ops], to: "\(folder)/b.safetensors")
      let metadata = Array(#"{"bars": "{\"y\": {\"absolute\": 1}}"}"#.utf8)
      try NPZWriter.write(
        try tensors(1) + [("__metadata__", StoredTensor(metadata, shape: [metadata.count]))], to: "\(folder)/c.npz")
      let result = try golden(["diff", "a.safetensors", "b.safetensors"], in: folder)
      #expect(result.code == 1 && lines(result).last == "1 passed, 1 failed, 1 not checked in 1 file", "\(result)")
      #expect(lines(result).contains { $0.hasPrefix("pass x.out ") && $0.hasSuffix("0.25: a quarter") })
      #expect(lines(result).contains("---- x.grad.x not checked: its bar in the metadata is none"))
      let npz = try golden(["diff", "c.npz", "b.safetensors", "--only", "y"], in: folder)
      #expect(npz.code == 0 && npz.output.contains("1: stated by the file, without a reason"), "\(npz)")
    }
  }

  @Test("files that cannot be compared have one sentence and status 2")
  func unusable() throws {
    try withTemporaryFolder { folder in
      try SafetensorsWriter.write(try tensors(), to: "\(folder)/a.safetensors")
      try BadFiles.truncated("\(folder)/a.safetensors", to: 100, "\(folder)/cut.safetensors")
      try SafetensorsWriter.write(try tensors(), metadata: ["order": "{}"], to: "\(folder)/order.safetensors")
      try SafetensorsWriter.write([], to: "\(folder)/none.safetensors")
      for (files, sentence) in [
        (["a.safetensors", "absent.npz"], "absent.npz: the file does not exist"),
        (["order.safetensors", "a.safetensors"], "order.safetensors: `order` in its metadata is no list of names"),
      ] {
        let result = try golden(["diff"] + files, in: folder)
        #expect(result.code == 2 && result.output == "" && result.errors == "mvar: \(sentence)\n", "\(result)")
      }
      let cut = try golden(["diff", "cut.safetensors", "a.safetensors", "--json", "a.json"], in: folder)
      #expect(cut.code == 2 && cut.errors.hasPrefix("mvar: cut.safetensors: ") && cut.output == "")
      #expect(try String(contentsOfFile: "\(folder)/a.json", encoding: .utf8).contains("\"problem\" : "))
      #expect(try golden(["diff", "none.safetensors", "none.safetensors"], in: folder).code == 2)
    }
  }

  // MARK: Planted faults, through the program

  @Test("planted faults are named, and nothing else is")
  func faults() throws {
    try withTemporaryFolder { folder in
      let source = try Checkpoint.open(Fixtures.path("golden/ops.safetensors"))
      let faults: [(tensor: String, change: (inout [Float]) -> Void)] = [
        ("softmax.out", { $0[9] = .nan }), ("linear.grad.w", { $0 = $0.map { _ in 0 } }),
        ("layer_norm.grad.x", { $0 = $0.map { -$0 } }), ("conv1x1.out", { $0 = $0.map { $0 * 1.00003 } }),
        ("group_norm.out", { $0[$0.count - 1] = 0 }),
        ("window_attention_5_3.grad.k", { $0 = Array($0.dropFirst(16) + $0.prefix(16)) }),
      ]
      var tensors = source.tensors
      for fault in faults {
        try BadFiles.replace(fault.tensor, in: &tensors) {
          var values = try $0.floats()
          fault.change(&values)
          return try StoredTensor(values, shape: $0.shape)
        }
      }
      try SafetensorsWriter.write(tensors, metadata: source.metadata, to: "\(folder)/bad.safetensors")
      let result = try golden(["check", "bad.safetensors", "--quiet"], in: folder)
      let failed = lines(result).filter { $0.hasPrefix("FAIL ") }.map { $0.split(separator: " ")[1] }
      #expect(result.code == 1 && Set(failed.map(String.init)) == Set(faults.map(\.tensor)), "\(result)")
      #expect(failed.count == faults.count)
      // The same faults between two files.
      let diff = try golden(
        ["diff", Fixtures.path("golden/ops.safetensors"), "bad.safetensors", "--quiet"], in: folder)
      #expect(diff.code == 1 && lines(diff).count { $0.hasPrefix("FAIL ") } == faults.count, "\(diff)")
    }
  }
}
