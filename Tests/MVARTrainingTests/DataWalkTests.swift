// What a data set is made of: folders within class folders, links, classes with odd names, and what is not used.

import Foundation
import MVARFiles
import MVARMedia
import MVARTestSupport
import MVARTraining
import Testing

@Suite("Folders of data sets")
struct DataWalkTests {
  private func withFolder(_ body: (SampleFolder) throws -> Void) throws {
    try withTemporaryFolder { try body(SampleFolder(path: $0)) }
  }

  /// The set, with what was noted.
  private func read(
    _ folder: SampleFolder, _ name: String = ".", badFiles: BadFilePolicy = .refuse
  ) throws -> (images: LabeledImages, notes: [String]) {
    var notes: [String] = []
    let images = try LabeledImages(
      path: folder.at(name), side: 4, badFiles: badFiles, heldOut: 0,
      onNote: { notes.append($0.replacingOccurrences(of: folder.path, with: ".")) })
    return (images, notes)
  }

  @Test("a class has the images of all folders in its own, in the order of torchvision's ImageFolder")
  func nested() throws {
    try withFolder { folder in
      // sorted(os.walk(…)) sorts whole paths, in which "-" comes before "/".
      let names = [
        "a/1.png", "a/z.png", "a/deeper/1.png", "a/deeper/more/2.png", "a/deeper-still/0.png", "a/Deep/9.png",
        "b/1.png",
      ]
      for name in names { try folder.write(grayPNG, name) }
      let (images, notes) = try read(folder)
      #expect(images.classNames == ["a", "b"] && notes.isEmpty)
      #expect(
        images.training.map(\.name) == [
          "a/1.png", "a/z.png", "a/Deep/9.png", "a/deeper/1.png", "a/deeper-still/0.png", "a/deeper/more/2.png",
          "b/1.png",
        ])
    }
  }

  @Test("links are followed, and what they lead back to is read once")
  func links() throws {
    try withFolder { folder in
      try folder.write(grayPNG, "set/a/1.png")
      try folder.write(grayPNG, "set/b/1.png")
      try folder.write(grayPNG, "elsewhere/2.png")
      try folder.link("set/a/loop", to: ".")
      try folder.link("set/a/up", to: "../..")
      try folder.link("set/a/more", to: "../../elsewhere")
      try folder.link("elsewhere/back", to: "../set/a")
      let (images, notes) = try read(folder, "set")
      #expect(images.training.map(\.name) == ["a/1.png", "a/more/2.png", "b/1.png"])
      #expect(notes == ["3 links to folders that are read elsewhere are not used: a/up, a/more/back, a/loop"])
    }
  }

  @Test("images of other formats are refused or counted; other files and hidden ones are counted")
  func unused() throws {
    try withFolder { folder in
      for name in [
        "a/1.png", "b/1.png", "a/x.webp", "a/y.WebP", "a/deeper/z.bmp", "b/i.gif", "a/notes.txt", "b/LICENSE",
      ] {
        try folder.write(grayPNG, name)
      }
      for name in ["a/.DS_Store", ".git/config", ".../1.png", "README.md"] { try folder.write("x", name) }
      let files = "7 files of 6 kinds are not used: .webp 2, without an ending 1, .bmp 1, .gif 1, .md 1, .txt 1"
      #expect(
        folder.sentence { _ = try read(folder) }
          == "./.: \(files); images among them: a/x.webp, a/y.WebP, a/deeper/z.bmp, b/i.gif")
      let (images, notes) = try read(folder, badFiles: .skip)
      #expect(images.classNames == ["a", "b"] && images.training.count == 2)
      let named = "\(files); images among them: a/x.webp, a/y.WebP, a/deeper/z.bmp, b/i.gif"
      #expect(notes == [named, "3 hidden files or folders are not used: ..., .git, a/.DS_Store"])
      for name in ["a/x.webp", "a/y.WebP", "a/deeper/z.bmp", "b/i.gif"] { unlink(folder.at(name)) }
      #expect(
        try read(folder).notes.first == "3 files of 3 kinds are not used: without an ending 1, .md 1, .txt 1")
      // An image beside the class folders has no class.
      try folder.write(grayPNG, "loose.png")
      #expect(folder.sentence { _ = try read(folder) }.hasSuffix("images among them: loose.png"))
    }
  }

  @Test("classes that end like temporary files, and two spellings of one name")
  func oddClasses() throws {
    try withFolder { folder in
      for name in ["x.tmp", "e\u{301}", "\u{e9}", "\u{301}", "a.png", "-"] {
        try folder.write(grayPNG, "\(name)/1.png")
      }
      let (images, notes) = try read(folder)
      #expect(notes.isEmpty)
      #expect(
        images.classNames.map { Array($0.utf8) }
          == ["-", "a.png", "e\u{301}", "x.tmp", "\u{e9}", "\u{301}"].map { Array($0.utf8) })
      for name in ["cat", "dog"] { try folder.write(grayPNG, "split/train/\(name)\u{e9}/1.png") }
      try folder.write(grayPNG, "split/val/cate\u{301}/1.png")
      #expect(
        folder.sentence { _ = try read(folder, "split") }
          == "./split/val/cate\u{301}: is the folder of a class that train/ does not have")
      try FileManager.default.removeItem(atPath: folder.at("split/val"))
      try folder.write(grayPNG, "split/val/cat\u{e9}/1.png")
      #expect(try read(folder, "split").images.validation.map(\.label) == [0])
    }
  }

  @Test("a class called train")
  func classNamedTrain() throws {
    try withFolder { folder in
      for name in ["car", "plane", "train"] { try folder.write(grayPNG, "\(name)/1.png") }
      #expect(try read(folder).images.classNames == ["car", "plane", "train"])
      // With folders in it, it could be either.
      try folder.write(grayPNG, "train/steam/1.png")
      #expect(
        folder.sentence { _ = try read(folder) }
          == "./.: holds the folder car with images beside train/, which holds class folders: if train is a class too, "
          + "put the folders of all classes into another folder train")
      try folder.makeFolder("whole")
      for name in ["car", "plane", "train"] {
        try FileManager.default.createDirectory(atPath: folder.at("whole/train"), withIntermediateDirectories: true)
        try FileManager.default.moveItem(atPath: folder.at(name), toPath: folder.at("whole/train/\(name)"))
      }
      let (images, notes) = try read(folder, "whole")
      #expect(images.classNames == ["car", "plane", "train"] && images.training.count == 4 && notes.isEmpty)
      // Only a folder without classes: nobody's class.
      try folder.write(grayPNG, "flat/train/1.png")
      try folder.write(grayPNG, "flat/val/1.png")
      #expect(
        folder.sentence { _ = try read(folder, "flat") }
          == "./flat/train: holds no class folders, only images: if train is a class, put the folders of all classes into "
          + "another folder train")
    }
  }

  @Test("what is not used is named by its path in the data set")
  func paths() throws {
    try withFolder { folder in
      for name in ["d/train/a/1.png", "d/val/a/1.png", "d/val/a/x.webp", "d/train/loose.png", "d/val/.hidden"] {
        try folder.write(grayPNG, name)
      }
      try folder.write("x", "d/test")
      for path in ["d", "d/"] {
        #expect(
          try read(folder, path, badFiles: .skip).notes == [
            "3 files of 3 kinds are not used: without an ending 1, .png 1, .webp 1; images among them: "
              + "train/loose.png, val/a/x.webp",
            "1 hidden file or folder is not used: val/.hidden",
          ])
      }
    }
  }

  @Test("folders beside train/ are named")
  func beside() throws {
    try withFolder { folder in
      for name in ["train/a/1.png", "val/a/1.png", "test/a/1.png"] { try folder.write(grayPNG, name) }
      try folder.makeFolder("annotations")
      try folder.write("x", "labels.txt")
      #expect(
        try read(folder).notes == [
          "1 file is not used: .txt 1", "1 folder beside the classes is not used: annotations",
        ])
    }
  }

  @Test("names that are not UTF-8 are refused or counted, never lost")
  func otherNames() throws {
    try withFolder { folder in
      try folder.write(grayPNG, "a/1.png")
      func create(_ name: [UInt8], isFolder: Bool = false) {
        let path = Array(folder.path.utf8) + [UInt8(ascii: "/")] + name + [0]
        let status = path.withUnsafeBufferPointer { buffer in
          buffer.withMemoryRebound(to: CChar.self) {
            isFolder ? mkdir($0.baseAddress!, 0o700) : open($0.baseAddress!, O_WRONLY | O_CREAT, 0o600)
          }
        }
        #expect(status >= 0)
      }
      for byte in [0xFE, 0xFF] as [UInt8] { create(Array("a/x".utf8) + [byte] + Array(".png".utf8)) }
      #expect(
        folder.sentence { _ = try read(folder) } == "./.: holds 2 names that are not UTF-8: a/x\\xfe.png, a/x\\xff.png")
      #expect(
        try read(folder, badFiles: .skip).notes == [
          "2 names that are not UTF-8 are not used: a/x\\xfe.png, a/x\\xff.png"
        ])
      create([0x62, 0xFF], isFolder: true)
      for policy in BadFilePolicy.allCases {
        #expect(
          folder.sentence { _ = try read(folder, badFiles: policy) } == "./.: holds the name b\\xff, which is not UTF-8"
        )
      }
    }
  }

  @Test("damaged and turned images are said once; a turned one is turned if wanted")
  func notes() throws {
    try withFolder { folder in
      var jpeg = try [UInt8](Data(contentsOf: Fixtures.url("damaged/color.jpg")))
      let row = try #require(Turned.rows().first { $0.base == "color.jpg" && $0.orientation == 6 })
      jpeg.insert(contentsOf: row.bytes, at: row.offset)
      for number in 0..<3 { try folder.write(jpeg, "a/\(number).jpg") }
      var stray = try [UInt8](Data(contentsOf: Fixtures.url("damaged/gray.jpg")))
      let scan = try #require(stray.indices.dropLast().first { stray[$0] == 0xFF && stray[$0 + 1] == 0xDA })
      stray.insert(contentsOf: [1, 2, 3], at: scan)
      try folder.write(stray, "b/1.jpg")
      let (images, notes) = try read(folder)
      #expect(
        notes == [
          "1 image is damaged and was decoded as far as possible; the first is ././b/1.jpg: Corrupt JPEG data: "
            + "3 extraneous bytes before marker 0xda",
          "3 images have an EXIF orientation that is not applied (see --exif); the first is ././a/0.jpg: orientation 6",
        ])
      let stored = try PixelImage(decoding: jpeg)
      #expect(images.training[0].image == (try stored.centerCrop(4)))
      let turned = try LabeledImages(path: folder.path, side: 4, heldOut: 0, exif: .apply)
      #expect(turned.training[0].image == (try stored.upright(from: .rotatedLeft).centerCrop(4)))
      #expect(turned.training[0].pixels != images.training[0].pixels)
    }
  }

  /// The rows of orientations among the damaged files.
  private struct Turned {
    let base: String
    let orientation: Int
    let offset: Int
    let bytes: [UInt8]

    static func rows() throws -> [Turned] {
      let data = try Data(contentsOf: Fixtures.url("damaged/table.json"))
      let table = try JSONSerialization.jsonObject(with: data) as? [String: Any]
      return (table?["turned"] as? [[Any]] ?? []).compactMap { row in
        guard let base = row[0] as? String, let orientation = row[1] as? Int, let edit = row[2] as? [Any],
          let offset = edit[0] as? Int, let digits = (edit[2] as? String)?.compactMap(\.hexDigitValue)
        else { return nil }
        let bytes = stride(from: 0, to: digits.count, by: 2).map { UInt8(16 * digits[$0] + digits[$0 + 1]) }
        return Turned(base: base, orientation: orientation, offset: offset, bytes: bytes)
      }
    }
  }
}
