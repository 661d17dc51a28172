// Damaged files as Pillow 13 sees them: `Fixtures/damaged/table.json` has edits of small base images and Pillow's
// verdicts, written by `Fixtures/reference/damage.py`. The same edits are made here; verdict and pixels must be the same.

import Foundation
import MVARFiles
import MVARMedia
import MVARTestSupport
import Testing

@Suite("Damaged files")
struct DamagedFileTests {
  /// Bytes that are replaced.
  struct Edit: Decodable {
    let offset: Int
    let removed: Int
    let inserted: [UInt8]

    init(from decoder: any Decoder) throws {
      var list = try decoder.unkeyedContainer()
      offset = try list.decode(Int.self)
      removed = try list.decode(Int.self)
      let digits = try list.decode(String.self).compactMap(\.hexDigitValue)
      inserted = stride(from: 0, to: digits.count, by: 2).map { UInt8(16 * digits[$0] + digits[$0 + 1]) }
    }
  }

  /// A damaged file and Pillow's verdict.
  struct Row: Decodable {
    let edits: [Edit]
    let verdict: String

    init(from decoder: any Decoder) throws {
      var list = try decoder.unkeyedContainer()
      edits = try list.decode([Edit].self)
      verdict = try list.decode(String.self)
    }
  }

  /// An image with an orientation, and what Pillow makes of it.
  struct Turned: Decodable {
    let base: String
    let orientation: Int
    let edit: Edit
    let verdict: String

    init(from decoder: any Decoder) throws {
      var list = try decoder.unkeyedContainer()
      base = try list.decode(String.self)
      orientation = try list.decode(Int.self)
      edit = try list.decode(Edit.self)
      verdict = try list.decode(String.self)
    }
  }

  struct Table: Decodable {
    let pillow: String
    let files: [String: [String: Row]]
    let turned: [Turned]
  }

  static let table = try! JSONDecoder().decode(Table.self, from: Data(contentsOf: Fixtures.url("damaged/table.json")))

  static func base(_ name: String) throws -> [UInt8] { try RegularFile.contents(of: Fixtures.path("damaged/\(name)")) }

  private func edited(_ bytes: [UInt8], _ edits: [Edit]) -> [UInt8] {
    var bytes = bytes
    for edit in edits.sorted(by: { $0.offset > $1.offset }) {
      bytes.replaceSubrange(edit.offset..<(edit.offset + edit.removed), with: edit.inserted)
    }
    return bytes
  }

  private func described(_ image: PixelImage) -> String {
    "\(image.width) x \(image.height) \(SHA256.hexDigest(image.pixels).prefix(12))"
  }

  @Test("as many as are worth it, of every kind of base image")
  func count() {
    #expect(Self.table.pillow == "13.0.0")
    #expect(Self.table.files.count == 7 && Self.table.files.values.allSatisfy { $0.count >= 40 })
    let verdicts = Self.table.files.values.flatMap { $0.values.map(\.verdict) }
    #expect(verdicts.count { $0 == "refused" } >= 100 && verdicts.count { $0 != "refused" } >= 100)
  }

  @Test("are accepted and refused as by Pillow, with the same pixels", arguments: table.files.keys.sorted())
  func verdicts(_ name: String) throws {
    let base = try Self.base(name)
    for (what, row) in try #require(Self.table.files[name]) {
      let found: String
      var damage: String?
      do throws(FileError) {
        let image = try LoadedImage(decoding: edited(base, row.edits), subject: name)
        found = described(image.image)
        damage = image.damage
      } catch {
        found = "refused"
        #expect(error.description.hasPrefix("\(name): ") && !error.description.contains("\n"), "\(error)")
      }
      #expect(found == row.verdict, "\(name), \(what)")
      if what == "nothing" { #expect(damage == nil) }
      if what.hasPrefix("stray bytes before the scan") { #expect(damage?.contains("extraneous bytes") == true) }
    }
  }

  @Test("orientations, with numbers that mean none, as by Pillow")
  func orientations() throws {
    #expect(Self.table.turned.count == 20)
    for row in Self.table.turned {
      let image = try LoadedImage(decoding: edited(Self.base(row.base), [row.edit]))
      #expect(described(image.image(.apply)) == row.verdict, "\(row.base), \(row.orientation)")
      #expect(image.image(.ignore) == image.image)
      #expect(image.orientation == Orientation(rawValue: row.orientation) ?? .upright)
    }
  }

  @Test("the size alone needs no sound pixels", arguments: table.files.keys.sorted())
  func size(_ name: String) throws {
    try withTemporaryFolder { folder in
      let base = try Self.base(name)
      let image = try PixelImage(decoding: base)
      let path = "\(folder)/image"
      // The last tenth is missing.
      try Data(base.prefix(base.count * 9 / 10)).write(to: URL(filePath: path))
      let size = try ImageSize(path: path)
      #expect(size.width == image.width && size.height == image.height)
      try Data(base.prefix(20)).write(to: URL(filePath: path))
      #expect(throws: FileError.self) { try ImageSize(path: path) }
    }
  }

  @Test("notes count what was noteworthy, and name the first")
  func notes() throws {
    var notes = ImageNotes()
    #expect(notes.sentences(.ignore).isEmpty)
    notes.add(damage: "bad", orientation: .upright, name: "a")
    notes.add(damage: nil, orientation: .rotatedLeft, name: "b")
    #expect(
      notes.sentences(.ignore) == [
        "1 image is damaged and was decoded as far as possible; the first is a: bad",
        "1 image has an EXIF orientation that is not applied (see --exif); the first is b: orientation 6",
      ])
    notes.add(damage: "worse", orientation: .mirrored, name: "c")
    #expect(
      notes.sentences(.apply) == [
        "2 images are damaged and were decoded as far as possible; the first is a: bad",
        "2 images have an EXIF orientation that was applied; the first is b: orientation 6",
      ])
  }
}
