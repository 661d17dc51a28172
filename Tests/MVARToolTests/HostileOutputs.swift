// Outputs that cannot be written. Each is detected before anything is computed.

import Foundation
import MVARTestSupport

extension HostileInputTests {
  private static func writing(
    _ output: String, _ sentence: String, _ prepare: @escaping @Sendable (String) throws -> Void = { _ in }
  ) -> Case {
    Case("output \(output)", Tool.sample(["--class", "1", "-o", output]), 1, sentence, prepare)
  }

  static let outputs: [Case] = [
    writing("nowhere/out.png", "nowhere/out.png: cannot be written: the folder nowhere does not exist"),
    writing("file/out.png", "file/out.png: cannot be written: file is not a folder") {
      try BadFiles.write([1], "\($0)/file")
    },
    writing("out.png", "out.png: is a folder and cannot be replaced by a file") {
      try FileManager.default.createDirectory(atPath: "\($0)/out.png", withIntermediateDirectories: true)
    },
    writing("kept.png", "kept.png: the file exists and is write-protected") {
      try BadFiles.write([1], "\($0)/kept.png")
      try FileManager.default.setAttributes([.posixPermissions: 0o444], ofItemAtPath: "\($0)/kept.png")
    },
    writing("out.gif", "out.gif: the name of the output must end in .png or .npz"),
    writing("out", "out: the name of the output must end in .png or .npz"),
    writing("", "the name of the output is empty"),
    Case(
      "device as output", ["convert", Tool.model, "link.pth"], 1,
      "link.pth: is not a regular file and cannot be replaced"
    ) {
      try FileManager.default.createSymbolicLink(atPath: "\($0)/link.pth", withDestinationPath: "/dev/full")
    },
    Case(
      "the input as output", ["convert", "a.pth", "./a.pth"], 1,
      "./a.pth: is the same file as the input a.pth, which would be lost"
    ) {
      try FileManager.default.copyItem(atPath: Tool.model, toPath: "\($0)/a.pth")
    },
    Case(
      "unknown format", ["convert", Tool.model, "out.gguf"], 1,
      "out.gguf: the name of the output must end in .pth or .pt or .bin or .safetensors"),
    Case(
      "file as folder", Tool.sample(["--class", "1", "--singles", "file"]), 1,
      "file: cannot be written: file is not a folder"
    ) {
      try BadFiles.write([1], "\($0)/file")
    },
    Case(
      "one name for a file and a folder", Tool.sample(["--class", "1", "--singles", "x.png", "-o", "x.png"]), 1,
      "x.png: would be a file and the folder of single images; choose another name for one of them"),
    Case(
      "the name of a single image", Tool.sample(["--class", "1", "--singles", "s/", "-o", "./s/000000-class1.png"]), 1,
      "./s/000000-class1.png: has the name of a single image in s/, which it would replace"
    ) {
      try FileManager.default.createDirectory(atPath: "\($0)/s", withIntermediateDirectories: false)
    },
  ]
}
