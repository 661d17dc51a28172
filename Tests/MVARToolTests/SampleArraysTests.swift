// `mvar sample` for evaluations: arrays and folders of images, which are the same however they are asked for, and which a killed
// run continues.

import Foundation
import MVARCheckpoints
import MVARMedia
import MVARTestSupport
import Testing

@Suite("Samples for evaluations", .serialized)
struct SampleArraysTests {
  private func bytes(_ path: String) throws -> Data { try Data(contentsOf: URL(filePath: path)) }

  private func succeed(_ arguments: [String], in folder: String) throws -> Tool.Result {
    let result = try Tool.run(arguments, in: folder)
    #expect(result.code == 0, "\(arguments): \(result.errors)")
    return result
  }

  /// Images in a folder, in the order of their numbers.
  private func images(_ folder: String) throws -> [PixelImage] {
    try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".png") }.sorted()
      .map { try PixelImage.load("\(folder)/\($0)") }
  }

  @Test("arrays hold the images of a folder, and their classes, whatever the batch")
  func arrays() throws {
    try withTemporaryFolder { folder in
      let request = ["--class", "7-8,null", "--class", "1", "--total", "9", "--seed", "3", "--cfg", "2"]
      _ = try succeed(Tool.sample(request + ["-o", "a.npz", "--batch", "4"]), in: folder)
      let names = try succeed(Tool.sample(request + ["-o", "s/", "--batch", "3"]), in: folder).output
      #expect(names.hasPrefix("s/000000-class7.png\n") && names.hasSuffix("\ns/000008-class1.png\n"))
      let file = try Checkpoint.open("\(folder)/a.npz")
      let (pixels, labels) = (try #require(file["arr_0"]), try #require(file["arr_1"]))
      #expect(file.tensors.count == 2 && pixels.scalarType == .uint8 && labels.scalarType == .int64)
      // Of four classes, the first has one image more; the null class is number 10.
      #expect(try pixels.shape == [9, 128, 128, 3] && labels.integers() == [7, 7, 7, 8, 8, 10, 10, 1, 1])
      let single = try images("\(folder)/s")
      #expect(try pixels.integers() == single.flatMap { $0.pixels.map { Int($0) } })
      #expect(Set(single).count == 9)

      // All bytes depend on neither batch nor threads, and an image of no class not on guidance.
      _ = try succeed(Tool.sample(request + ["-o", "b.npz", "--batch", "2", "--threads", "1"]), in: folder)
      #expect(try bytes("\(folder)/a.npz") == bytes("\(folder)/b.npz"))
      let null = ["--class", "null", "--first", "5", "--count", "2", "--seed", "3", "--cfg", "7"]
      _ = try succeed(Tool.sample(null + ["--singles", "null"]), in: folder)
      #expect(try images("\(folder)/null") == Array(single[5..<7]))

      // As many of each class is the same with either option, and a list the same as its elements.
      _ = try succeed(Tool.sample(["--class", "all", "--count", "1", "-o", "all.png"]), in: folder)
      _ = try succeed(
        Tool.sample(["--class", "0,1,2-9", "--total", "10", "--columns", "1", "-o", "l.png"]), in: folder)
      #expect(try bytes("\(folder)/all.png") == bytes("\(folder)/l.png"))
    }
  }

  @Test("runs that are killed end with the bytes of one that was not")
  func killed() throws {
    try withTemporaryFolder { folder in
      let request = Tool.sample(["--count", "4", "--batch", "2", "--seed", "5"])
      let line = request.map { "'\($0)'" }.joined(separator: " ")
      _ = try succeed(request + ["-o", "whole.npz", "--singles", "whole"], in: folder)
      var partials = 0
      for delay in ["0.15", "0.3", "0.5", "0.7", "0.9", "1.1"] {
        let before = try? bytes("\(folder)/killed.npz.partial").count
        let result = try Tool.shell(
          "timeout -s KILL \(delay) \"$MVAR\" \(line) --resume -o killed.npz --singles killed", in: folder)
        #expect(result.code == 137 || result.wasKilled || result.code == 0, "\(result.errors)")
        if FileManager.default.fileExists(atPath: "\(folder)/killed.npz.partial") { partials += 1 }
        // An image that is there is complete.
        for image in (try? images("\(folder)/killed")) ?? [] { #expect(image.width == 128) }
        // Nothing but a part of an image is lost of what was there.
        if let before, let after = try? bytes("\(folder)/killed.npz.partial").count {
          #expect(after > before - 3 * 128 * 128)
        }
      }
      // Half a row, as a kill in the middle of a write leaves it, and an image that someone has removed.
      let handle = FileHandle(forUpdatingAtPath: "\(folder)/killed.npz.partial")
      try handle?.seekToEnd()
      try handle?.write(contentsOf: Data([1, 2, 3]))
      unlink("\(folder)/killed/000001-class0.png")
      let last = try succeed(request + ["--resume", "-o", "killed.npz", "--singles", "killed"], in: folder)
      #expect(last.output.contains("killed/000001-class0.png\n") || partials == 0)
      #expect(try bytes("\(folder)/whole.npz") == bytes("\(folder)/killed.npz"))
      #expect(try images("\(folder)/whole") == images("\(folder)/killed"))
      #expect(!FileManager.default.fileExists(atPath: "\(folder)/killed.npz.partial"))

      // What is finished is not sampled again.
      let again = try succeed(request + ["--resume", "-o", "killed.npz", "--singles", "killed"], in: folder)
      #expect(again.output == "killed.npz\n" && again.errors == "all 40 images are there already\n")
      unlink("\(folder)/killed/000039-class9.png")
      let one = try succeed(request + ["--resume", "-o", "killed/"], in: folder)
      #expect(one.output == "killed/000039-class9.png\n")
      #expect(try images("\(folder)/whole") == images("\(folder)/killed"))
    }
  }

  @Test("what is not continued, and a disk that is full")
  func refused() throws {
    try withTemporaryFolder { folder in
      // Each image takes 48 KiB, and a file 100 KiB at most.
      let arrays = Tool.sample(["--class", "3", "--count", "4", "--batch", "1", "-o", "a.npz"])
      let line = arrays.map { "'\($0)'" }.joined(separator: " ")
      let full = try Tool.shell("ulimit -f 200; exec \"$MVAR\" \(line)", in: folder)
      #expect(full.code == 1 && full.errors == "mvar: a.npz.partial: cannot be written: File too large\n")
      func refusal(_ more: [String]) throws -> String {
        let before = try bytes("\(folder)/a.npz.partial")
        let result = try Tool.run(arrays + more, in: folder)
        #expect(result.code == 1 && result.output == "")
        #expect(try bytes("\(folder)/a.npz.partial") == before)
        return result.errors
      }
      #expect(
        try refusal([])
          == "mvar: a.npz.partial: is what an interrupted run has left: continue it with --resume, or remove it to begin again\n"
      )
      let begun = "mvar: a.npz.partial: was begun with"
      let end = "resume with the same settings\n"
      #expect(try refusal(["--resume", "--seed", "1"]) == "\(begun) --seed 0, now it is 1: \(end)")
      #expect(try refusal(["--resume", "--class", "4"]) == "\(begun) --class 3, now it is 3-4: \(end)")
      #expect(try refusal(["--resume", "--cfg", "2"]) == "\(begun) --cfg 2.7, now it is 2.0: \(end)")
      #expect(
        try refusal(["--resume", "--device", "reference"]) == "\(begun) --device cpu, now it is reference: \(end)")
      try SafetensorsWriter.write(
        try Tool.tokenizerWeights().map { tensor in
          guard tensor.name == "decoder.conv_in.bias" else { return tensor }
          return (tensor.name, try StoredTensor(tensor.tensor.floats().map { $0 + 1 }, shape: tensor.tensor.shape))
        }, to: "\(folder)/other.safetensors")
      #expect(try refusal(["--resume", "--tokenizer", "other.safetensors"]).hasPrefix("\(begun) the tokenizer "))
      _ = try succeed(arrays + ["--resume"], in: folder)

      _ = try succeed(Tool.sample(["--class", "3", "--singles", "s"]), in: folder)
      let other = try Tool.run(Tool.sample(["--class", "4", "--singles", "s", "--resume"]), in: folder)
      #expect(other.errors == "mvar: s/.sampling-0.json: was begun with --class 3, now it is 4: \(end)")
      // Without --resume a folder is written anew, as ever.
      _ = try succeed(Tool.sample(["--class", "4", "--singles", "s"]), in: folder)
    }
  }

  @Test("a single image that is damaged or gone is drawn again, and the others stay")
  func damagedSingles() throws {
    try withTemporaryFolder { folder in
      let command = Tool.sample(["--class", "3", "--count", "4", "--batch", "1", "--singles", "s"])
      _ = try succeed(command, in: folder)
      let paths = (0..<4).map { "\(folder)/s/00000\($0)-class3.png" }
      let drawn = try paths.map { try bytes($0) }
      // Cut short, one byte of the pixels flipped, removed.
      try Data(drawn[0].dropLast(30)).write(to: URL(filePath: paths[0]))
      var flipped = drawn[2]
      flipped[flipped.count / 2] ^= 4
      try Data(flipped).write(to: URL(filePath: paths[2]))
      try FileManager.default.removeItem(atPath: paths[3])
      let resumed = try succeed(command + ["--resume"], in: folder)
      #expect(resumed.output == [0, 2, 3].map { "s/00000\($0)-class3.png\n" }.joined())
      #expect(resumed.errors.contains("3 images: transformer"))
      #expect(try paths.map { try bytes($0) } == drawn)
      #expect(try succeed(command + ["--resume"], in: folder).output == "")
    }
  }

  @Test(
    "one sentence for each request that makes no sense",
    arguments: [
      (["--class", "", "-o", "a.npz"], "--class : is empty; name a class", 1),
      (["--class", "3-0", "-o", "a.npz"], "--class 3-0: runs backward; write 0-3", 1),
      (["--class", "8-10", "-o", "a.npz"], "--class 8-10: this model has the classes 0 … 9", 1),
      (["--class", "0,,1", "-o", "a.npz"], "--class 0,,1: names no class between two commas or at an end", 1),
      (
        ["--class", "0,dog", "-o", "a.npz"],
        "--class dog: is not a number from 0 to 9; names need a file of names, given with --class-names", 1
      ),
      (["-o", "none/a.npz"], "none/a.npz: cannot be written: the folder none does not exist", 1),
      (["-o", "b"], "b: is a folder; write b/ for one file per image", 1),
      (["-o", "b.npz"], "b.npz: is a folder and cannot be replaced by a file", 1),
      (
        ["-o", "b/", "--singles", "c"],
        "-o b/ and --singles c are both folders of single images; use one of them", 64
      ),
      (
        ["-o", "a.npz", "--tokens", "./a.npz"],
        "./a.npz: would be the file of images and of tokens; choose another name for one of them", 1
      ),
      (
        ["-o", "a.npz", "--scales"],
        "--scales shows images side by side, and an .npz has samples only; use a .png or a folder", 64
      ),
      (
        ["-o", "a.png", "--resume"],
        "--resume continues an .npz or a folder of images, and a .png of all images is written at once in the end", 64
      ),
      (
        ["-o", "a.npz", "--tokens", "t.npz", "--resume"],
        "--resume continues an .npz or a folder of images, and --tokens is written at once in the end", 64
      ),
      (
        ["--count", "2", "--total", "20", "-o", "a.npz"],
        "--count is of each class and --total of all classes; use one of them", 64
      ),
      (
        ["--total", "9", "-o", "a.npz"], "--total is 9, and there are 10 classes: use at least one image of each", 1
      ),
      (["--total", "0", "-o", "a.npz"], "--total is 0; use a number from 1 to 1000000000", 64),
    ] as [([String], String, Int32)])
  func mistake(arguments: [String], sentence: String, code: Int32) throws {
    try withTemporaryFolder { folder in
      for name in ["b", "b.npz"] {
        try FileManager.default.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: false)
      }
      let result = try Tool.run(Tool.sample(arguments), in: folder)
      #expect(result.code == code && result.errors == "mvar: \(sentence)\n", "\(result.errors)")
      #expect(result.output == "")
      #expect(try FileManager.default.subpathsOfDirectory(atPath: folder).sorted() == ["b", "b.npz"])
    }
  }

  #if os(Linux)
    @Test("memory does not grow with the number of images")
    func memory() throws {
      try withTemporaryFolder { folder in
        func peak(_ count: Int) throws -> Int {
          let arguments = Tool.sample(["--class", "0", "--count", "\(count)", "--batch", "4", "-o", "\(count).npz"])
          let result = try MeasuredProgram.run(Tool.program, arguments, in: folder)
          #expect(result.code == 0)
          return result.peakBytes
        }
        // An array of 160 images has 7.5 MiB, and as floats four times as many.
        let (few, many) = (try peak(16), try peak(160))
        #expect(many - few < 4 << 20, "\(few) and \(many) bytes")
      }
    }
  #endif
}
