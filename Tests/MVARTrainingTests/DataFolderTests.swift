// Sets of images in class folders: which files count, how they are read, and what is refused with which sentence.

import Foundation
import MVARMedia
import MVARTestSupport
import MVARTraining
import Testing

@Suite("Images in class folders")
struct DataFolderTests {
  private func withFolder(_ body: (SampleFolder) throws -> Void) throws {
    try withTemporaryFolder { try body(SampleFolder(path: $0)) }
  }

  @Test("odd sizes, gray, alpha and JPEG become squares; other files are left out")
  func mixedFiles() throws {
    try withFolder { folder in
      let wide = try pattern(13, 7)
      let tiny = try pattern(1, 2)
      try folder.write(wide, "train/b/wide.png")
      try folder.write(tiny, "train/b/tiny.PNG")
      try folder.write(grayPNG, "train/a/gray.png")
      try folder.write(transparentPNG, "train/a/transparent.png")
      let photo = try Data(contentsOf: Fixtures.url("photos/rocket.jpg"))
      try folder.write([UInt8](photo), "train/a/photo.JpEg")
      try folder.write([UInt8](photo), "train/a/.hidden.jpg")
      try folder.write("text", "train/a/notes.txt")
      try folder.write("text", "train/a/png")
      try folder.write(wide, "train/loose.png")
      try folder.write(wide, "train/.cache/wide.png")
      try folder.write(try pattern(4, 4, seed: 5), "val/b/one.png")
      try folder.write(wide, "test/c/one.png")

      var progress: [[Int]] = []
      let images = try LabeledImages(
        path: folder.path, side: 4, badFiles: .skip, onProgress: { progress.append([$0, $1]) })
      #expect(images.classNames == ["a", "b"])
      #expect(
        images.training.map(\.name)
          == ["a/gray.png", "a/photo.JpEg", "a/transparent.png", "b/tiny.PNG", "b/wide.png"])
      #expect(images.training.map(\.label) == [0, 0, 0, 1, 1])
      #expect(images.training[0].pixels == [UInt8](repeating: 100, count: 48))
      #expect(images.training[1].image == (try PixelImage.load(Fixtures.path("photos/rocket.jpg")).centerCrop(4)))
      #expect(images.training[2].pixels == (0..<16).flatMap { _ in [10, 20, 30] as [UInt8] })
      #expect(images.training[3].image == (try tiny.centerCrop(4)))
      #expect(images.training[4].image == (try wide.centerCrop(4)))
      #expect(images.validation.map(\.name) == ["b/one.png"])
      #expect(images.validation[0].label == 1)
      #expect(images.validation[0].image == (try pattern(4, 4, seed: 5)))
      #expect(progress.last == [6, 6])
    }
  }

  @Test("classes and files are sorted by bytes, with or without train/")
  func sorting() throws {
    try withFolder { folder in
      for name in ["b", "B", "a10", "a2", "é", "z"] {
        try folder.write(grayPNG, "\(name)/2.png")
        try folder.write(grayPNG, "\(name)/10.png")
      }
      let images = try LabeledImages(path: folder.path + "/", side: 4)
      #expect(images.classNames == ["B", "a10", "a2", "b", "z", "é"])
      #expect(images.training.prefix(2).map(\.name) == ["B/10.png", "B/2.png"])
      #expect(images.validation.isEmpty)
    }
  }

  @Test("the first bad file in order is named, or every one is reported and left out")
  func badFiles() throws {
    try withFolder { folder in
      for number in 0..<40 { try folder.write(try pattern(5, 5, seed: number), "a/\(100 + number).png") }
      try folder.write("not an image", "a/120.png")
      try folder.write([UInt8](), "a/130.png")
      try folder.write(Array(try pattern(9, 9).pngBytes().prefix(60)), "b/1.png")
      try folder.write(grayPNG, "b/2.png")
      let empty = "./a/130.png: is empty"
      let other = "./a/120.png: is not an image: it begins like neither PNG nor JPEG"
      for _ in 0..<3 {
        #expect(folder.sentence { _ = try LabeledImages(path: folder.path, side: 4) } == other)
      }
      var problems: [String] = []
      let images = try LabeledImages(
        path: folder.path, side: 4, badFiles: .skip, heldOut: 0,
        onProblem: { problems.append($0.replacingOccurrences(of: folder.path, with: ".")) })
      #expect(problems.count == 3)
      #expect(problems.prefix(2) == [other, empty])
      #expect(problems.last?.hasPrefix("./b/1.png: ") == true)
      #expect(images.training.count == 39)
      #expect(!images.training.contains { $0.name == "a/120.png" })
    }
  }

  @Test("folders that are refused")
  func refused() throws {
    try withFolder { folder in
      func sentence(_ name: String, side: Int = 4, heldOut: Int = 10, policy: BadFilePolicy = .refuse) -> String {
        folder.sentence {
          _ = try LabeledImages(path: folder.at(name), side: side, badFiles: policy, heldOut: heldOut)
        }
      }
      #expect(sentence("missing") == "./missing: does not exist")
      try folder.write("text", "file")
      #expect(sentence("file") == "./file: is not a folder")
      try folder.makeFolder("empty")
      #expect(sentence("empty") == "./empty: holds no class folders")
      try folder.makeFolder("hollow/train")
      #expect(sentence("hollow") == "./hollow/train: holds no class folders")
      try folder.makeFolder("none/train/cat")
      try folder.write(grayPNG, "none/train/dog/1.png")
      #expect(sentence("none") == "./none/train/cat: holds no images (.png, .jpg, .jpeg)")
      try folder.write(grayPNG, "stray/train/cat/1.png")
      try folder.write(grayPNG, "stray/val/dog/1.png")
      #expect(sentence("stray") == "./stray/val/dog: is the folder of a class that train/ does not have")
      try folder.write("x", "lost/cat/1.png")
      try folder.write(grayPNG, "lost/dog/1.png")
      #expect(sentence("lost", policy: .skip) == "./lost: has no image of the class cat that can be used")
      #expect(sentence("lost", side: 0) == "./lost: cannot be read as images of 0 × 0 pixels")
      #expect(sentence("lost", side: .max) == "./lost: cannot be read as images of \(Int.max) × \(Int.max) pixels")
      #expect(sentence("lost", heldOut: -1) == "./lost: cannot have one in -1 images held out")
      #expect(
        folder.sentence { _ = try LabeledImages(path: "", side: 4) }
          == "(no file name): an empty file name cannot be used")
      #expect(
        folder.sentence { _ = try LabeledImages(path: "a\0b", side: 4) }
          == "a\\u{0}b: contains a zero byte, which no path can")
      try folder.write(grayPNG, "folder/cat/0.png")
      try folder.makeFolder("folder/cat/1.png")
      #expect(try LabeledImages(path: folder.at("folder"), side: 4).training.map(\.name) == ["cat/0.png"])
    }
  }

  @Test("more than 8 GiB are refused before anything is read")
  func memory() throws {
    try withFolder { folder in
      for number in 0..<30 { try folder.write("x", "a/\(number).png") }
      #expect(
        folder.sentence { _ = try LabeledImages(path: folder.path, side: 10_000) }
          == ".: holds 30 images, which at 10000 × 10000 pixels take more than 8 GiB")
    }
  }

  @Test("links that loop or lead nowhere are errors, never endless")
  func links() throws {
    try withFolder { folder in
      func sentence(_ name: String) -> String {
        folder.sentence { _ = try LabeledImages(path: folder.at(name), side: 4) }
      }
      try folder.write(grayPNG, "up/cat/1.png")
      try folder.link("up/back", to: "..")
      #expect(sentence("up") == "./up/back: holds no images (.png, .jpg, .jpeg)")
      try folder.write(grayPNG, "self/cat/1.png")
      try folder.link("self/dog", to: "dog")
      #expect(sentence("self") == "./self/dog: cannot be examined: Too many levels of symbolic links")
      try folder.write(grayPNG, "gone/cat/1.png")
      try folder.link("gone/dog", to: "nowhere")
      #expect(sentence("gone") == "./gone/dog: is a link that leads nowhere")
      try folder.makeFolder("file/cat")
      try folder.link("file/cat/1.png", to: "1.png")
      #expect(sentence("file") == "./file/cat/1.png: cannot be opened: Too many levels of symbolic links")
      try folder.makeFolder("good")
      try folder.link("good/cat", to: "../up/cat")
      #expect(try LabeledImages(path: folder.at("good"), side: 4).training.count == 1)
    }
  }

  @Test("pipes are refused and not waited for; control characters in names are shown escaped")
  func pipes() throws {
    try withFolder { folder in
      try folder.makeFolder("cat")
      #expect(mkfifo(folder.at("cat/1.png"), 0o600) == 0)
      #expect(mkfifo(folder.at("cat/1.npz"), 0o600) == 0)
      #expect(
        folder.sentence { _ = try LabeledImages(path: folder.path, side: 4) }
          == "./cat/1.png: is a pipe, not a regular file")
      let latents = folder.sentence {
        _ = try CachedLatents(path: folder.path, length: 3, codeWidth: 2, vocabulary: 7)
      }
      #expect(latents == "./cat/1.npz: is a pipe, not a regular file")
      try folder.write("x", "odd/cat/1\u{1b}.png")
      #expect(
        folder.sentence { _ = try LabeledImages(path: folder.at("odd"), side: 4) }
          == "./odd/cat/1\\u{1b}.png: is not an image: it begins like neither PNG nor JPEG")
    }
  }

  @Test("files and folders without permission", .enabled(if: geteuid() != 0, "the superuser may read everything"))
  func permissions() throws {
    try withFolder { folder in
      try folder.write(grayPNG, "cat/1.png")
      chmod(folder.at("cat/1.png"), 0)
      #expect(
        folder.sentence { _ = try LabeledImages(path: folder.path, side: 4) }
          == "./cat/1.png: cannot be opened: Permission denied")
      chmod(folder.at("cat"), 0)
      #expect(
        folder.sentence { _ = try LabeledImages(path: folder.path, side: 4) }
          == "./cat: cannot be listed: Permission denied")
      chmod(folder.at("cat"), 0o700)
    }
  }
}
