// Sets of images in sheets: which pixels a tile has, and which indices and sheets are refused with which sentence.

import Foundation
import MVAR
import MVARCheckpoints
import MVARFiles
import MVARMedia
import MVARTestSupport
import MVARTraining
import Testing

@Suite("Images in sheets")
struct DataSheetTests {
  private func withFolder(_ body: (SampleFolder) throws -> Void) throws {
    try withTemporaryFolder { try body(SampleFolder(path: $0)) }
  }

  private func index(tile: String = "4", columns: String = "3", classes: String) -> String {
    "{\"tile\": \(tile), \"columns\": \(columns), \"background\": \"white\", \"classes\": [\(classes)]}"
  }

  /// The tile of a sheet, pixel by pixel.
  private func tile(_ sheet: PixelImage, _ side: Int, row: Int, column: Int) throws -> PixelImage {
    var tile = try PixelImage(width: side, height: side, filledWith: .white)
    for y in 0..<side {
      for x in 0..<side { tile[row: y, column: x] = sheet[row: row * side + y, column: column * side + x] }
    }
    return tile
  }

  @Test("tiles from left to right, then down; classes in the order of the index")
  func tiles() throws {
    try withFolder { folder in
      let (first, second) = (try pattern(12, 8), try pattern(9, 5, seed: 3))
      try folder.write(first, "first.png")
      try folder.write(second, "second.png")
      let classes = #"{"name": "z", "file": "first.png", "count": 5}, {"name": "a", "file": "second.png", "count": 2}"#
      try folder.write(index(classes: classes), "index.json")
      let images = try LabeledImages(path: folder.path, side: 4, heldOut: 0)
      #expect(images.classNames == ["z", "a"])
      #expect(images.training.map(\.name) == ["z/0", "z/1", "z/2", "z/3", "z/4", "a/0", "a/1"])
      #expect(images.training.map(\.label) == [0, 0, 0, 0, 0, 1, 1])
      for number in 0..<5 {
        #expect(
          images.training[number].image == (try tile(first, 4, row: number / 3, column: number % 3)), "\(number)")
      }
      #expect(images.training[6].image == (try tile(second, 4, row: 0, column: 1)))

      let enlarged = try LabeledImages(path: folder.path, side: 7, heldOut: 0)
      #expect(enlarged.training[4].image == (try tile(first, 4, row: 1, column: 1).centerCrop(7)))
      let reduced = try LabeledImages(path: folder.path, side: 2, heldOut: 0)
      #expect(reduced.training[4].image == (try tile(first, 4, row: 1, column: 1).centerCrop(2)))
    }
  }

  @Test("images and folders beside the sheets are named, other files are not; no key occurs twice")
  func beside() throws {
    try withFolder { folder in
      try folder.write(try pattern(12, 8), "a.png")
      let classes = #"{"name": "a", "file": "a.png", "count": 5}"#
      try folder.write(index(classes: classes), "index.json")
      for name in ["c.png", "notes.webp", "more/1.png", "README.md", "model.pth", ".hidden.png"] {
        try folder.write(grayPNG, name)
      }
      var notes: [String] = []
      _ = try LabeledImages(path: folder.path, side: 4, onNote: { notes.append($0) })
      #expect(
        notes == [
          "2 files of 2 kinds are not used: .png 1, .webp 1; images among them: c.png, notes.webp",
          "1 folder beside the classes is not used: more",
        ])
      try folder.write(#"{"tile": 4, "tile": 2, "columns": 3, "classes": [\#(classes)]}"#, "index.json")
      #expect(
        folder.sentence { _ = try LabeledImages(path: folder.path, side: 4) }
          == "./index.json: is not an index of sheets: it holds the key \"tile\" twice")
    }
  }

  @Test("sheets hold out as many as folders do")
  func heldOut() throws {
    try withFolder { folder in
      try folder.write(try pattern(12, 28), "a.png")
      try folder.write(index(classes: #"{"name": "a", "file": "a.png", "count": 21}"#), "index.json")
      let images = try LabeledImages(path: folder.path, side: 4)
      #expect(images.validation.count == 2)
      #expect(Set((images.training + images.validation).map(\.name)).count == 21)
    }
  }

  @Test(
    "indices that are refused",
    arguments: [
      (#"{"#, "is not an index of sheets: it is not valid JSON"),
      ("", "is not an index of sheets: it is not valid JSON"),
      (#"[1]"#, "is not an index of sheets: the whole is not of the right kind"),
      (#"{"columns": 3, "classes": []}"#, "is not an index of sheets: tile is missing"),
      (#"{"tile": "4", "columns": 3, "classes": []}"#, "is not an index of sheets: tile is not an integer"),
      (#"{"tile": null, "columns": 3, "classes": []}"#, "is not an index of sheets: tile is null"),
      (#"{"tile": 1e300, "columns": 3, "classes": []}"#, "is not an index of sheets: a number in it is out of range"),
      (#"{"tile": 4, "columns": 3, "classes": []}"#, "names no classes"),
      (#"{"tile": 0, "columns": 3, "classes": []}"#, "has tiles of 0 pixels, and a side is 1 to 65535"),
      (#"{"tile": 99999999, "columns": 3, "classes": []}"#, "has tiles of 99999999 pixels, and a side is 1 to 65535"),
      (#"{"tile": 4, "columns": -1, "classes": []}"#, "has -1 columns, and a sheet has 1 to 65535"),
      (
        #"{"tile": 4, "columns": 9223372036854775807, "classes": []}"#,
        "has 9223372036854775807 columns, and a sheet has 1 to 65535"
      ),
      (
        #"{"tile": 4, "columns": 3, "classes": [{"name": "a", "file": "a.png"}]}"#,
        "is not an index of sheets: classes[0].count is missing"
      ),
      (
        #"{"tile": 4, "columns": 3, "classes": [{"name": 1, "file": "a.png", "count": 1}]}"#,
        "is not an index of sheets: classes[0].name is not a text"
      ),
    ])
  func malformed(_ text: String, _ problem: String) throws {
    try withFolder { folder in
      try folder.write(text, "index.json")
      #expect(folder.sentence { _ = try LabeledImages(path: folder.path, side: 4) } == "./index.json: \(problem)")
    }
  }

  @Test(
    "classes that are refused",
    arguments: [
      (#""name": "", "file": "a.png", "count": 1"#, "./index.json: has a class without a name"),
      (
        #""name": "a", "file": "a.png", "count": 0"#,
        "./index.json: gives the class a 0 images, and it needs at least 1"
      ),
      (
        #""name": "a", "file": "a.png", "count": 9223372036854775807"#,
        "./index.json: gives the class a 9223372036854775807 tiles of 4 pixels, more than a sheet can hold"
      ),
      (
        #""name": "a", "file": "../a.png", "count": 1"#,
        "./index.json: gives the class a the sheet \"../a.png\", which is not a plain file name"
      ),
      (
        #""name": "a", "file": "/etc/passwd", "count": 1"#,
        "./index.json: gives the class a the sheet \"/etc/passwd\", which is not a plain file name"
      ),
      (
        #""name": "a", "file": "..", "count": 1"#,
        "./index.json: gives the class a the sheet \"..\", which is not a plain file name"
      ),
      (
        #""name": "a", "file": "a\u0000.png", "count": 1"#,
        "./index.json: gives the class a the sheet \"a\\u{0}.png\", which is not a plain file name"
      ),
      (#""name": "a", "file": "b.png", "count": 1"#, "./b.png: the file does not exist"),
      (#""name": "a", "file": "a.png", "count": 7"#, "./a.png: is 12 × 8 pixels, and 7 tiles need 12 × 12"),
      (#""name": "a", "file": "narrow.png", "count": 2"#, "./narrow.png: is 7 × 8 pixels, and 2 tiles need 8 × 4"),
      (
        #""name": "a", "file": "index.json", "count": 2"#,
        "./index.json: is not an image: it begins like neither PNG nor JPEG"
      ),
    ])
  func refused(_ entry: String, _ sentence: String) throws {
    try withFolder { folder in
      try folder.write(try pattern(12, 8), "a.png")
      try folder.write(try pattern(7, 8), "narrow.png")
      try folder.write(index(classes: "{\(entry)}"), "index.json")
      #expect(folder.sentence { _ = try LabeledImages(path: folder.path, side: 4) } == sentence)
    }
  }

  /// A class's name becomes a folder's name in a cache.
  static let unsafeNames: [(name: String, shown: String, problem: String)] = [
    ("../x", "../x", "holds a slash"), ("a/b", "a/b", "holds a slash"), ("/", "/", "holds a slash"),
    ("../../../victim/x", "../../../victim/x", "holds a slash"), ("a/", "a/", "holds a slash"),
    (".", ".", "stands for a folder"), ("..", "..", "stands for a folder"),
    (
      String(repeating: "n", count: 10_240), String(repeating: "n", count: 80) + "…",
      "is 10240 bytes long, and the limit is 255"
    ),
    (
      String(repeating: "é", count: 128), String(repeating: "é", count: 80) + "…",
      "is 256 bytes long, and the limit is 255"
    ),
    ("a\0b", "a\\u{0}b", "holds a control character"), ("a\nb", "a\\u{a}b", "holds a control character"),
    ("\u{1b}[2K", "\\u{1b}[2K", "holds a control character"), ("\u{7f}", "\\u{7f}", "holds a control character"),
    ("\u{9b}x", "\\u{9b}x", "holds a control character"), ("a\u{2028}", "a\\u{2028}", "holds a control character"),
  ]

  @Test("names of classes that are no single safe part of a path are refused", arguments: unsafeNames)
  func unsafeName(_ item: (name: String, shown: String, problem: String)) throws {
    #expect(ClassNameRule.problem(with: item.name) == item.problem)
    try withFolder { folder in
      try folder.write(try pattern(12, 8), "a.png")
      let entry: [String: Any] = ["name": item.name, "file": "a.png", "count": 1]
      let index: [String: Any] = ["tile": 4, "columns": 3, "classes": [entry]]
      try folder.write([UInt8](try JSONSerialization.data(withJSONObject: index)), "index.json")
      #expect(
        folder.sentence { _ = try LabeledImages(path: folder.path, side: 4) }
          == "./index.json: names the class \"\(item.shown)\", which \(item.problem)")
    }
  }

  @Test("every accepted name is one part of a path, and ordinary names are accepted")
  func safeNames() throws {
    #expect(ClassNameRule.problem(with: "") == "is empty")
    let ordinary = [
      "tench, Tinca tinca", "…", "...", ".hidden", "a\\b", "naïve", "猫", "👩‍🚀", "-o", " ", "a:b", "%2e%2e%2fx",
      String(repeating: "n", count: 255),
    ]
    for name in ordinary { #expect(ClassNameRule.problem(with: name) == nil, "\(name)") }
    let parts = ["..", ".", "/", "a", "\0", "\n", "é", "\\", "\u{7f}", "x y"]
    for first in parts {
      for second in parts {
        for third in parts {
          let name = first + second + third
          guard ClassNameRule.problem(with: name) == nil else { continue }
          let path = URL(filePath: "/data/train").appending(path: name).standardizedFileURL.path(percentEncoded: false)
          #expect(path == "/data/train/\(name)", "\(name.debugDescription)")
        }
      }
    }
  }

  @Test("a class folder whose name would break a line is refused, and so is a model's list of names")
  func otherReaders() throws {
    try withFolder { folder in
      try folder.write(try pattern(4, 4), "set/a\nb/1.png")
      #expect(
        folder.sentence { _ = try LabeledImages(path: folder.at("set"), side: 4) }
          == "./set: holds the class folder \"a\\u{a}b\", whose name holds a control character")
      let mark = (name: CheckpointNames.transformerMark, tensor: try StoredTensor([1 as Float], shape: [1]))
      for (name, isGood) in [("cat", true), ("../x", false), ("..", false), ("", false)] {
        let names = String(decoding: try JSONEncoder().encode(["dog", name]), as: UTF8.self)
        try SafetensorsWriter.write([mark], metadata: ["class_names": names], to: folder.at("model.safetensors"))
        let weights = try CheckpointWeights(path: folder.at("model.safetensors"), .transformer)
        if isGood {
          #expect(try ModelMetadata.classNames(of: weights) == ["dog", name])
        } else {
          #expect(throws: FileError.self) { try ModelMetadata.classNames(of: weights) }
        }
      }
    }
  }

  @Test("damaged indices are errors or other sets, never crashes")
  func fuzz() throws {
    try withFolder { folder in
      try folder.write(try pattern(12, 8), "a.png")
      let good = Array(index(classes: #"{"name": "a", "file": "a.png", "count": 5}"#).utf8)
      var mutator = FuzzMutator(seed: 3)
      var refused = 0
      for _ in 0..<500 {
        try folder.write(mutator.mutant(of: good), "index.json")
        do {
          _ = try LabeledImages(path: folder.path, side: 4)
        } catch let error as FileError {
          #expect(error.description.hasPrefix(folder.path))
          refused += 1
        }
      }
      #expect(refused > 250)
    }
  }

  @Test("a class twice, an index that is a folder or too long, a sheet that is left out, and too many pixels")
  func others() throws {
    try withFolder { folder in
      func sentence(_ name: String, side: Int = 4, policy: BadFilePolicy = .refuse) -> String {
        folder.sentence { _ = try LabeledImages(path: folder.at(name), side: side, badFiles: policy) }
      }
      let entry = #"{"name": "a", "file": "a.png", "count": 6}"#
      try folder.write(index(classes: "\(entry), \(entry)"), "twice/index.json")
      #expect(sentence("twice") == "./twice/index.json: names the class a twice")
      try folder.makeFolder("folder/index.json")
      #expect(sentence("folder") == "./folder/index.json: is a folder, not a file")
      try folder.write(String(repeating: " ", count: 1 << 22) + "{}", "long/index.json")
      #expect(sentence("long") == "./long/index.json: has 4194306 bytes, and the limit for an index is 4194304")
      try folder.write(index(classes: entry), "gone/index.json")
      #expect(sentence("gone", policy: .skip) == "./gone: has no image of the class a that can be used")
      try folder.write(index(classes: #"{"name": "a", "file": "a.png", "count": 30}"#), "large/index.json")
      #expect(
        sentence("large", side: 11_000)
          == "./large: holds 30 images, which at 11000 × 11000 pixels take more than 8 GiB")
    }
  }
}
