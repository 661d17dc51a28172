// Photographs decoded and cropped must equal Pillow's results byte for byte: recorded digests of all of them, and the
// images themselves for some, which then show where a difference is.

import Foundation
import MVARFiles
import MVARMedia
import MVARTestSupport
import MVARVerification
import Testing

@Suite("Golden crops")
struct GoldenCropTests {
  struct Record: Decodable {
    var sha256: String
    var mean: Double?
    var size: [Int]?
  }

  struct Records: Decodable {
    var crops: [String: Record]
  }

  static let records: [String: Record] = {
    let data = try! Data(contentsOf: Fixtures.url("golden/photos/crops.json"))
    return try! JSONDecoder().decode(Records.self, from: data).crops
  }()

  @Test("all twelve records are there")
  func recordCount() {
    #expect(GoldenCropTests.records.count == 12)
  }

  @Test("decoded and cropped photographs", arguments: records.keys.sorted())
  func digest(_ name: String) throws {
    let record = try #require(GoldenCropTests.records[name])
    let dot = try #require(name.lastIndex(of: "."))
    let kind = name[name.index(after: dot)...]
    var image = try PixelImage.load(Fixtures.path("photos/\(name[..<dot])"))
    if let side = Int(kind) {
      image = try image.centerCrop(side)
      #expect(image.width == side && image.height == side)
    } else {
      #expect([image.width, image.height] == record.size)
    }
    if let mean = record.mean {
      let sum = image.pixels.reduce(0) { $0 + Int($1) }
      #expect(abs(Double(sum) / Double(image.pixels.count) - mean) < 1e-9)
    }
    #expect(SHA256.hexDigest(image.pixels) == record.sha256)
  }

  @Test(
    "crops equal the stored images",
    arguments: [
      ("astronaut.png", 64), ("chelsea.png", 64), ("chelsea.png", 256), ("coffee.png", 64), ("rocket.jpg", 64),
    ])
  func images(_ photo: String, _ side: Int) throws {
    let crop = try PixelImage.load(Fixtures.path("photos/\(photo)")).centerCrop(side)
    let name = photo.split(separator: ".")[0]
    let expected = try PixelImage.load(Fixtures.path("golden/photos/\(name).crop\(side).png"))
    let worst = crop.pixels.indices.max { left, right in
      difference(crop, expected, left) < difference(crop, expected, right)
    }
    let place = try #require(worst)
    #expect(difference(crop, expected, place) == 0, "byte \(place): \(crop.pixels[place]), \(expected.pixels[place])")
  }

  private func difference(_ one: PixelImage, _ other: PixelImage, _ place: Int) -> Int {
    abs(Int(one.pixels[place]) - Int(other.pixels[place]))
  }

  @Test("the digest itself, on the standard's examples")
  func digestExamples() {
    #expect(
      SHA256.hexDigest([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    #expect(
      SHA256.hexDigest(Array("abc".utf8)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  }
}
