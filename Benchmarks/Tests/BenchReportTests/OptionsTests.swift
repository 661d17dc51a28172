// The command line, and what sides answer.

import BenchReport
import Testing

@Suite("Command line and answers")
struct OptionsTests {
  @Test func options() throws {
    let none = try Options([])
    #expect(none.rounds == 5 && none.only.isEmpty && none.json == nil && none.threads == nil)
    let some = try Options(["--rounds", "2", "--only", "train", "--json", "a.json", "--files", "f", "--threads", "1"])
    #expect(some.rounds == 2 && some.only == "train" && some.json == "a.json" && some.files == "f" && some.threads == 1)
    #expect(try Options(["--table", "a.json"]).table == "a.json")
    #expect(some.wants("train-8") && !some.wants("gelu") && none.wants("gelu"))
  }

  @Test(arguments: [
    (["--rounds"], "--rounds needs a value"),
    (["--rounds", "0"], "--rounds is 0; use a positive number"),
    (["--threads", "two"], "--threads is two; use a positive number"),
    (
      ["--round", "3"],
      "there is no option --round; use --rounds, --only, --json, --table, --files or --threads"
    ),
  ])
  func mistakes(_ arguments: [String], _ sentence: String) {
    #expect(throws: BenchError(sentence)) { try Options(arguments) }
  }

  @Test func answers() throws {
    #expect(try numbers(inAnswer: "0.5 1e-3 nan").prefix(2) == [0.5, 1e-3])
    #expect(throws: BenchError("RuntimeError: no such mode")) {
      try numbers(inAnswer: "error RuntimeError: no such mode")
    }
    #expect(throws: BenchError("no numbers: hello 1")) { try numbers(inAnswer: "hello 1") }
    #expect(throws: BenchError("no numbers: ")) { try numbers(inAnswer: "") }
  }

  @Test func reasons() {
    #expect(reason(inErrors: "") == "it failed without a word")
    #expect(reason(inErrors: "Traceback\n  line 1\nImportError: no torch\n\n") == "ImportError: no torch")
    let refusal = """
      Error: --precision bf16 is for --device cuda
      Usage: mvar sample [--x]
        See 'mvar sample --help' for more.
      """
    #expect(reason(inErrors: refusal) == "--precision bf16 is for --device cuda")
    #expect(reason(inErrors: "mvar: a.pth: no such file") == "a.pth: no such file")
  }

  @Test func agreement() {
    #expect(agree([1, 2, 3], [9, 2.001, 3], tolerance: 1e-3))
    #expect(!agree([1, 2, 3], [1, 2.01, 3], tolerance: 1e-3))
    #expect(!agree([1, 2], [1, 2, 3], tolerance: 1))
    #expect(!agree([1, 2], [1, .nan], tolerance: 1))
    #expect(agree([1], [2], tolerance: 0))  // times alone
  }
}
