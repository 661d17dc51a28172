// Standard streams that are closed, full or not read any more, arguments that are no text, and outputs that are inputs: one
// sentence or none, another status than 0, and no file but those that are complete.

import Foundation
import MVARMedia
import MVARTestSupport
import Testing

@Suite("Streams, arguments and outputs")
struct StreamTests {
  private static let model = Fixtures.path("emoji/transformer.safetensors")

  @Test("a closed standard stream takes no file's place", arguments: ["0<&-", ">&-", "2>&-", "0<&- >&- 2>&-"])
  func closed(_ redirection: String) throws {
    try withTemporaryFolder { folder in
      let result = try Tool.shell(
        "\"$MVAR\" sample --class face -o out.png \(redirection); echo $? > status", in: folder)
      let lacksOutput = redirection.contains(" >&-") || redirection.hasPrefix(">&-")
      let status = try String(contentsOfFile: "\(folder)/status", encoding: .utf8)
      #expect(status == (lacksOutput ? "1\n" : "0\n"))
      // Nothing but the image is in the image.
      #expect(try PixelImage.load("\(folder)/out.png").width == 64)
      if redirection == ">&-" {
        #expect(result.errors.hasSuffix("mvar: standard output cannot be written: Bad file descriptor\n"))
      }
    }
  }

  @Test(
    "results that the disk has no room for",
    arguments: [
      "inspect \"\(StreamTests.model)\"", "flops", "--help", "golden list", "sample --class face -o out.png",
    ])
  func full(_ command: String) throws {
    try withTemporaryFolder { folder in
      let result = try Tool.shell("\"$MVAR\" \(command) > /dev/full", in: folder)
      #expect(result.code == 1)
      #expect(result.errors.hasSuffix("mvar: standard output cannot be written: No space left on device\n"))
    }
  }

  @Test("a reader that is gone")
  func pipe() throws {
    try withTemporaryFolder { folder in
      // The reader ends at once; the status of the program goes into a file.
      let script =
        "{ sleep 0.5; \"$MVAR\" inspect \"\(Self.model)\"; echo $? > status; } | true; while [ ! -s status ]; do sleep 0.1; done"
      let result = try Tool.shell(script, in: folder)
      #expect(result.errors == "" && result.output == "")
      #expect(try String(contentsOfFile: "\(folder)/status", encoding: .utf8) == "1\n")
      let singles = """
        { sleep 0.5; "$MVAR" sample --count 4 --batch 1 --singles s; echo $? > status2; } | true
        while [ ! -s status2 ]; do sleep 0.1; done
        """
      #expect(try Tool.shell(singles, in: folder).errors == "")
      for name in try FileManager.default.contentsOfDirectory(atPath: "\(folder)/s") where !name.hasPrefix(".") {
        #expect(try PixelImage.load("\(folder)/s/\(name)").width == 64)
      }
    }
  }

  @Test(
    "arguments that are not UTF-8 name no other file",
    arguments: [
      #"inspect "$bad""#, #"crop "$bad" --size 8 -o x.png"#, #"crop in.png --size 8 -o "$bad""#,
      #"sample --class "$bad" -o x.png"#, #"golden check "$bad""#,
    ])
  func arguments(_ command: String) throws {
    try withTemporaryFolder { folder in
      // The name that the system's conversion would make of it.
      let repaired = "a\u{fffd}b.png"
      try Data("precious".utf8).write(to: URL(filePath: "\(folder)/\(repaired)"))
      try PixelImage(width: 16, height: 16, filledWith: .white).writePNG(to: "\(folder)/in.png")
      let result = try Tool.shell("bad=$(printf 'a\\351b.png'); \"$MVAR\" \(command)", in: folder)
      #expect(result.code == 64 && result.output == "")
      let place = command.components(separatedBy: "\"$bad\"")[0].split(separator: " ").count + 1
      #expect(
        result.errors
          == "mvar: argument \(place), \"a\\xe9b.png\", is not UTF-8: rename the file, or use a link to it\n")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == [repaired, "in.png"])
      #expect(try String(contentsOfFile: "\(folder)/\(repaired)", encoding: .utf8) == "precious")
    }
  }

  /// Commands whose output `OUT` would replace `in.png`, a tokenizer or a list of names, and the input's name.
  private static let replacing: [(arguments: [String], input: String)] = [
    (["crop", "in.png", "--size", "8", "-o", "OUT"], "in.png"),
    (["reconstruct", "in.png", "-o", "OUT"], "in.png"),
    (["reconstruct", "in.png", "--tokenizer", "model.png", "-o", "OUT"], "model.png"),
    (["sample", "--model", "model.png", "-o", "OUT"], "model.png"),
    (["sample", "--class", "0", "--class-names", "in.png", "-o", "OUT"], "in.png"),
    (["edit", "in.png", "--keep-scales", "1", "-o", "OUT"], "in.png"),
    (["edit", "absent.png", "--mask", "in.png", "-o", "OUT"], "in.png"),
    (["edit", "absent.png", "--keep-scales", "1", "--tokenizer", "model.png", "-o", "OUT"], "model.png"),
    (["decode", "in.png", "-o", "OUT"], "in.png"),
    (["evaluate", "--data", "in.png", "--tokenizer", "model.png", "--model", "model.png", "--grid", "OUT"], "in.png"),
    (["evaluate", "--data", ".", "--tokenizer", "model.png", "--model", "model.png", "--grid", "OUT"], "."),
  ]

  @Test("no command replaces its own input, whatever name it has", arguments: replacing, ["same", "hard", "soft"])
  func ownInput(_ item: (arguments: [String], input: String), _ name: String) throws {
    try withTemporaryFolder { folder in
      try PixelImage(width: 16, height: 16, filledWith: .white).writePNG(to: "\(folder)/in.png")
      try FileManager.default.copyItem(atPath: Self.model, toPath: "\(folder)/model.png")
      let input = item.input == "." ? "in.png" : item.input
      if name == "hard" { try FileManager.default.linkItem(atPath: "\(folder)/\(input)", toPath: "\(folder)/hard.png") }
      if name == "soft" {
        try FileManager.default.createSymbolicLink(atPath: "\(folder)/soft.png", withDestinationPath: input)
      }
      let output = name == "same" ? "./\(input)" : "\(name).png"
      let before = try Data(contentsOf: URL(filePath: "\(folder)/\(input)"))
      let result = try Tool.run(item.arguments.map { $0 == "OUT" ? output : $0 }, in: folder)
      #expect(result.code == 1 && result.output == "")
      let kind = item.input == "." ? "is a file of the input ." : "is the same file as the input \(input)"
      #expect(result.errors == "mvar: \(output): \(kind), which would be lost\n")
      #expect(try Data(contentsOf: URL(filePath: "\(folder)/\(input)")) == before)
    }
  }

  @Test("a link to a file that does not exist yet is written through")
  func danglingLink() throws {
    try withTemporaryFolder { folder in
      try FileManager.default.createDirectory(atPath: "\(folder)/below", withIntermediateDirectories: true)
      try PixelImage(width: 16, height: 16, filledWith: .white).writePNG(to: "\(folder)/in.png")
      for (link, target) in [("link.png", "below/new.png"), ("far.png", "none/new.png"), ("loop.png", "loop.png")] {
        try FileManager.default.createSymbolicLink(atPath: "\(folder)/\(link)", withDestinationPath: target)
      }
      func crop(_ output: String) throws -> Tool.Result {
        try Tool.run(["crop", "in.png", "--size", "8", "-o", output], in: folder)
      }
      #expect(try crop("link.png").code == 0)
      #expect(try FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/link.png") == "below/new.png")
      #expect(try PixelImage.load("\(folder)/below/new.png").width == 8)
      #expect(try crop("far.png").errors == "mvar: far.png: cannot be written: the folder none does not exist\n")
      #expect(try crop("loop.png").errors == "mvar: loop.png: cannot be written: Too many levels of symbolic links\n")
    }
  }

  @Test("images whose names differ only in how a letter is written have tokens of their own")
  func lettersWrittenOtherwise() throws {
    try withTemporaryFolder { folder in
      let image = try PixelImage(width: 16, height: 16, filledWith: .white)
      for name in ["\u{e9}.png", "e\u{301}.png"] { try image.writePNG(to: "\(folder)/\(name)") }
      let result = try Tool.run(["encode", "\u{e9}.png", "e\u{301}.png", "-o", "l"], in: folder)
      #expect(result.code == 0, "\(result.errors)")
      for name in ["\u{e9}.npz", "e\u{301}.npz"] { #expect(access("\(folder)/l/\(name)", F_OK) == 0) }
    }
  }

  @Test("data whose name begins with a combining mark are kept apart from results")
  func combiningMark() throws {
    try withTemporaryFolder { folder in
      let image = try PixelImage(width: 16, height: 16, filledWith: .white)
      for label in ["a", "b"] {
        try FileManager.default.createDirectory(
          atPath: "\(folder)/\u{301}d/\(label)", withIntermediateDirectories: true)
        for number in 0..<3 { try image.writePNG(to: "\(folder)/\u{301}d/\(label)/\(number).png") }
      }
      let line = ["train-tokenizer"] + TrainingCommandTests.sizes + ["--steps", "1", "--data"]
      for output in ["\u{301}d", "\u{301}d/\u{301}r"] {
        let result = try Tool.run(line + ["./\u{301}d", "-o", output], in: folder)
        #expect(result.code == 1)
        #expect(result.errors.contains("lies in the folder of the data, where results would be taken for data"))
      }
      let evaluation = ["evaluate", "--data", "./\u{301}d", "--tokenizer", Self.model, "--model", Self.model]
      let twice = try Tool.run(evaluation + ["--grid", "x.png", "--nearest", "././x.png"], in: folder)
      #expect(twice.errors == "mvar: ././x.png: is named by both --grid and --nearest\n")
    }
  }
}
