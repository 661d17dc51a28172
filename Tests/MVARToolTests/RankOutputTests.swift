// What several processes write together has the bytes of one process, and what cannot work ends all of them with one sentence:
// ranks that have read other files, commands that run as one, libraries that are not there or another MPI's.

import Foundation
import MVARTestSupport
import Testing

@Suite("Outputs of ranks", .serialized)
struct RankOutputTests {
  private static let emoji = Fixtures.path("emoji")
  private static let tokenizer = ["--tokenizer", "\(emoji)/tokenizer.safetensors"]

  /// Three images of each of two classes.
  private func writeImages(_ folder: String) throws {
    let result = try Tool.shell(
      """
      "$MVAR" sample --class 0,1 --count 3 --singles all && mkdir -p data/a data/b && mv all/*class0* data/a && \
      mv all/*class1* data/b && rm -rf all
      """, in: folder)
    #expect(result.code == 0, "\(result.errors)")
  }

  /// Whether two folders have the same files with the same bytes.
  private func expectSame(_ one: String, _ other: String) throws {
    let names = try FileManager.default.subpathsOfDirectory(atPath: one).sorted()
    #expect(!names.isEmpty && FileManager.default.subpaths(atPath: other)?.sorted() == names)
    for name in names where !OutputFolders.isFolder("\(one)/\(name)") {
      let (a, b) = ("\(one)/\(name)", "\(other)/\(name)")
      #expect(try Data(contentsOf: URL(filePath: a)) == Data(contentsOf: URL(filePath: b)), "\(name)")
    }
  }

  private enum OutputFolders {
    static func isFolder(_ path: String) -> Bool {
      var isFolder: ObjCBool = false
      return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
    }
  }

  @Test("samples of 3 ranks are those of one process, in one file", arguments: MPI.all)
  func samples(_ mpi: MPI) throws {
    try withTemporaryFolder { folder in
      let arguments = ["sample", "--class", "0-4,null", "--count", "3", "--batch", "2", "--threads", "1"]
      for name in ["x.npz", "x.png"] {
        let outputs = ["-o", name] + (name == "x.png" ? ["--tokens", "tokens.npz", "--singles", "singles"] : [])
        for place in ["one", "three"] {
          try FileManager.default.createDirectory(atPath: "\(folder)/\(place)", withIntermediateDirectories: true)
        }
        let one = try Tool.run(arguments + outputs, in: "\(folder)/one")
        #expect(one.code == 0, "\(one.errors)")
        let three = try mpi.run(3, arguments + outputs, in: "\(folder)/three")
        #expect(three.code == 0, "\(three.errors)")
      }
      try expectSame("\(folder)/one", "\(folder)/three")
    }
  }

  @Test("evaluate, cache and encode on 2 and 3 ranks write what one process writes", arguments: MPI.all)
  func files(_ mpi: MPI) throws {
    try withTemporaryFolder { folder in
      try writeImages(folder)
      let data = "\(folder)/data"
      let images = try FileManager.default.subpathsOfDirectory(atPath: data).filter { $0.hasSuffix(".png") }.sorted()
        .map { "\(data)/\($0)" }
      let commands: [[String]] = [
        ["cache", "--data", data, "--batch", "2", "-o", "tokens"] + Self.tokenizer,
        // Now some of them are there already.
        ["cache", "--data", data, "--batch", "2", "-o", "tokens", "--held-out", "2"] + Self.tokenizer,
        ["encode", "-o", "codes/"] + Self.tokenizer + images,
        ["evaluate", "--data", data, "--held-out", "2", "-o", "report.md", "--json", "report.json"] + Self.tokenizer,
        [
          "evaluate", "--data", Self.emoji, "--model", "\(Self.emoji)/transformer.safetensors", "--predictions",
          "--json", "predictions.json",
        ] + Self.tokenizer,
      ]
      for place in ["one", "many"] {
        try FileManager.default.createDirectory(atPath: "\(folder)/\(place)", withIntermediateDirectories: true)
      }
      for (number, command) in commands.enumerated() {
        let arguments = command + ["--threads", "1"]
        let one = try Tool.run(arguments, in: "\(folder)/one")
        let many = try mpi.run(2 + number % 2, arguments, in: "\(folder)/many")
        #expect(one.code == 0 && many.code == 0, "\(one.errors) \(many.errors)")
        #expect(many.output == one.output, "\(command)")
      }
      try expectSame("\(folder)/one", "\(folder)/many")
    }
  }

  @Test("ranks that have read other images or models do not start, and say which", arguments: MPI.all)
  func contents(_ mpi: MPI) throws {
    try withTemporaryFolder { folder in
      for (place, face) in [("zero", "0"), ("one", "1")] {
        try FileManager.default.createDirectory(atPath: "\(folder)/\(place)", withIntermediateDirectories: true)
        try writeImages("\(folder)/\(place)")
        try FileManager.default.copyItem(
          atPath: "\(folder)/\(place)/data/a/00000\(face)-class0.png", toPath: "\(folder)/\(place)/data/a/last.png")
        let model = try Data(contentsOf: URL(filePath: "\(Self.emoji)/transformer.safetensors"))
        // The last byte belongs to a weight.
        try (face == "0" ? model : model.dropLast() + [1 ^ (model.last ?? 0)]).write(
          to: URL(filePath: "\(folder)/\(place)/model.safetensors"))
      }
      let folders = ("\(folder)/zero", "\(folder)/one")
      let training = ["train", "--data", "data", "--depth", "1", "--width", "32", "--heads", "1", "-o", "run"]
      for (arguments, expected) in [
        (["cache", "--data", "data", "-o", "tokens"], "rank 1 differs from rank 0 in the contents of the images"),
        (training, "rank 1 differs from rank 0 in pixels: "),
        (
          ["sample", "--model", "model.safetensors", "--class", "0", "--singles", "out"],
          "rank 1 differs from rank 0 in the contents of the model"
        ),
      ] {
        let result = try mpi.run(arguments + Self.tokenizer, arguments + Self.tokenizer, in: folders)
        #expect(result.code != 0 && result.sentences.count == 1, "\(result.errors)")
        #expect(result.sentences.first?.hasPrefix("mvar: \(expected)") == true, "\(result.errors)")
      }
      let sample = ["sample", "--class", "0", "--singles", "out"]
      let result = try mpi.run(sample, sample + ["--seed", "2", "--threads", "1"], in: folders)
      #expect(result.sentences == ["mvar: rank 1 differs from rank 0 in argument 6: --seed and none"])
      for place in ["zero", "one"] {
        #expect(
          try FileManager.default.contentsOfDirectory(atPath: "\(folder)/\(place)").sorted() == [
            "data", "model.safetensors",
          ])
      }
    }
  }

  @Test("what fails before ranks are joined is said once, and help is printed once", arguments: MPI.all)
  func once(_ mpi: MPI) throws {
    try withTemporaryFolder { folder in
      for (arguments, expected) in [
        (
          ["reconstruct", Fixtures.path("photos/coffee.png"), "-o", "x.png"],
          "has started 3 processes, and mvar reconstruct runs as one; train, train-tokenizer, sample, evaluate, cache and "
            + "encode share their work"
        ), (["sample"], "nothing would be written"),
        (["mask", "-o", "mask.png"], "has started 3 processes, and mvar mask runs as one"),
      ] {
        let result = try mpi.run(3, arguments, in: folder)
        #expect(result.code != 0 && result.sentences.count == 1, "\(result.errors)")
        #expect(result.sentences.first?.contains(expected) == true, "\(result.errors)")
      }
      let help = try mpi.run(3, ["cache", "--help"], in: folder)
      #expect(try help.code == 0 && help.output == Tool.run(["cache", "--help"], in: folder).output)
    }
  }

  @Test("a library that is absent, is no MPI's or the other MPI's is one sentence, on one rank too", arguments: MPI.all)
  func libraries(_ mpi: MPI) throws {
    try withTemporaryFolder { folder in
      let arguments = ["sample", "--class", "0", "--singles", "out"]
      for (library, reason) in [
        ("nothing.so", "nothing.so ("), ("libz.so.1", "has no function MPI_Init_thread"),
        (mpi.otherLibrary, "(is another MPI's library)"),
      ] {
        if library == mpi.otherLibrary, MPI.all.count < 2 { continue }
        let began = ContinuousClock.now
        let result = try mpi.run(3, arguments, in: folder, with: ["MVAR_MPI": library])
        #expect(result.code != 0 && result.sentences.count == 1, "\(result.errors)")
        #expect(result.sentences.first?.contains(reason) == true, "\(result.errors)")
        #expect(ContinuousClock.now - began < .seconds(30))
      }
      // The first rank waits for one that cannot join.
      let result = try BuiltProgram.run(
        mpi.program,
        mpi.options + ["-n", "1", Tool.program] + arguments + [":", "-n", "1", "/usr/bin/env", "MVAR_MPI=nothing.so"]
          + [Tool.program] + arguments, in: folder, environment: MPI.environment)
      #expect(result.code != 0 && result.sentences.count == 1, "\(result.errors)")
      #expect(
        result.sentences.first?.hasPrefix("mvar: rank 1: this process was started by") == true, "\(result.errors)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
  }

  @Test("without mpirun, a library that MVAR_MPI names is not looked for")
  func alone() throws {
    try withTemporaryFolder { folder in
      for variables in [["MVAR_MPI": "nothing.so"], ["OMPI_COMM_WORLD_SIZE": "x"], ["PMI_SIZE": "2"]] {
        let result = try BuiltProgram.run(
          Tool.program, ["encode", Fixtures.path("photos/coffee.png"), "-o", "x.npz", "--threads", "1"], in: folder,
          environment: MPI.environment.merging(variables) { $1 })
        #expect(result.code == 0 && result.output == "x.npz\n", "\(result.errors)")
      }
    }
  }

  @Test("an mpirun's variables without its library are named with what was tried")
  func missing() throws {
    try withTemporaryFolder { folder in
      for (variables, expected) in [
        (["OMPI_COMM_WORLD_SIZE": "2", "MVAR_MPI": "nothing.so"], "this process was started by Open MPI's mpirun"),
        (["PMI_RANK": "0", "PMI_SIZE": "2", "MVAR_MPI": "libz.so.1"], "this process was started by MPICH's mpirun"),
      ] {
        let result = try BuiltProgram.run(
          Tool.program, ["sample", "--class", "0", "--singles", "out"], in: folder,
          environment: MPI.environment.merging(variables) { $1 })
        #expect(result.code != 0)
        #expect(
          result.errors.contains(expected) && result.errors.contains(variables["MVAR_MPI"] ?? ""), "\(result.errors)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
      }
    }
  }
}
