// What commands do with images that are damaged, turned, huge or oddly named: said once, turned if wanted, and without
// more memory than the image takes.

import Foundation
import MVARMedia
import MVARTestSupport
import Testing

@Suite("Photographs")
struct PhotographCommandTests {
  /// A JPEG file of 29 × 21 pixels whose metadata say that it is to be turned clockwise.
  private func turned() throws -> [UInt8] {
    let data = try Data(contentsOf: Fixtures.url("damaged/table.json"))
    let table = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    let rows = try #require(table["turned"] as? [[Any]])
    let row = try #require(rows.first { $0[0] as? String == "color.jpg" && $0[1] as? Int == 6 })
    let edit = try #require(row[2] as? [Any])
    let digits = try #require(edit[2] as? String).compactMap(\.hexDigitValue)
    var file = try [UInt8](Data(contentsOf: Fixtures.url("damaged/color.jpg")))
    let offset = try #require(edit[0] as? Int)
    let bytes = stride(from: 0, to: digits.count, by: 2).map { UInt8(16 * digits[$0] + digits[$0 + 1]) }
    file.insert(contentsOf: bytes, at: offset)
    return file
  }

  private func write(_ bytes: [UInt8], _ path: String) throws { try Data(bytes).write(to: URL(filePath: path)) }

  @Test("an orientation is said, and applied if wanted, by every command that reads single images")
  func exif() throws {
    try withTemporaryFolder { folder in
      try write(turned(), "\(folder)/a.jpg")
      let stored = try PixelImage.load("\(folder)/a.jpg")
      let upright = stored.upright(from: .rotatedLeft)
      try upright.writePNG(to: "\(folder)/upright.png")
      func note(_ done: String) -> String {
        "1 image has an EXIF orientation that \(done); the first is a.jpg: orientation 6\n"
      }
      for (more, expected, done) in [
        ([], stored, "is not applied (see --exif)"), (["--exif", "apply"], upright, "was applied"),
      ] {
        let crop = try Tool.run(["crop", "a.jpg", "--size", "16", "-o", "out.png"] + more, in: folder)
        #expect(crop.code == 0 && crop.errors == note(done) && crop.output == "out.png\n")
        #expect(try PixelImage.load("\(folder)/out.png") == expected.centerCrop(16))
      }
      // The same as from the upright file.
      let tokenizer = ["--tokenizer", Tool.tokenizer] + Tool.scales
      for command in [["encode", "-o", "out.npz"], ["reconstruct", "-o", "out.png"]] {
        let arguments = [command[0]] + tokenizer + command.dropFirst()
        let result = try Tool.run(arguments + ["a.jpg", "--exif", "apply"], in: folder)
        #expect(result.code == 0 && result.errors.contains(note("was applied")), "\(result.errors)")
        let first = try Data(contentsOf: URL(filePath: "\(folder)/\(command[2])"))
        let plain = try Tool.run(arguments + ["upright.png"], in: folder)
        #expect(plain.code == 0 && !plain.errors.contains("EXIF"))
        #expect(try Data(contentsOf: URL(filePath: "\(folder)/\(command[2])")) == first)
        _ = try Tool.run(arguments + ["a.jpg"], in: folder)
        #expect(try Data(contentsOf: URL(filePath: "\(folder)/\(command[2])")) != first)
      }
      let wrong = try Tool.run(["crop", "a.jpg", "--size", "16", "-o", "out.png", "--exif", "yes"], in: folder)
      #expect(wrong.code == 64)
    }
  }

  @Test("a damaged image is decoded as far as possible, and said once")
  func damaged() throws {
    try withTemporaryFolder { folder in
      var file = try [UInt8](Data(contentsOf: Fixtures.url("damaged/gray.jpg")))
      let scan = try #require(file.indices.dropLast().first { file[$0] == 0xFF && file[$0 + 1] == 0xDA })
      file.insert(contentsOf: [1, 2, 3], at: scan)
      for name in ["a", "b"] { try write(file, "\(folder)/\(name).jpg") }
      let result = try Tool.run(
        ["encode", "a.jpg", "b.jpg", "-o", "tokens", "--tokenizer", Tool.tokenizer] + Tool.scales, in: folder)
      #expect(result.code == 0 && result.output == "tokens/a.npz\ntokens/b.npz\n")
      #expect(
        result.errors == "2 images are damaged and were decoded as far as possible; the first is a.jpg: Corrupt JPEG "
          + "data: 3 extraneous bytes before marker 0xda\n")
      try write(Array(file.prefix(file.count - 60)), "\(folder)/short.jpg")
      let short = try Tool.run(["crop", "short.jpg", "--size", "8", "-o", "out.png"], in: folder)
      #expect(short.code == 1 && short.errors.hasPrefix("mvar: short.jpg: is a JPEG file cut short"))
      #expect(!FileManager.default.fileExists(atPath: "\(folder)/out.png"))
    }
  }

  @Test("names of files reach a terminal only as what can be printed")
  func names() throws {
    try withTemporaryFolder { folder in
      let name = "a\u{1b}[2J\u{202e}"
      try PixelImage(width: 8, height: 8, filledWith: .black).writePNG(to: "\(folder)/\(name).png")
      let result = try Tool.run(["crop", "\(name).png", "--size", "8", "-o", "\(name)2.png"], in: folder)
      #expect(result.code == 0 && result.output == "a\\u{1b}[2J\\u{202e}2.png\n")
      #expect(FileManager.default.fileExists(atPath: "\(folder)/\(name)2.png"))
    }
  }

  @Test("inspect reads no pixels, and cropping takes the memory of the image and a little more")
  func memory() throws {
    try withTemporaryFolder { folder in
      // 11584² pixels of 16 bits in four channels: 1 GiB of rows, of which there is not even the first.
      let claim = try [UInt8](Data(contentsOf: Fixtures.url("damaged/deep.png")))
      var huge = claim
      let size = [0, 0, 0x2D, 0x40] as [UInt8]
      huge.replaceSubrange(16..<24, with: size + size)
      let sum = PNGFile.checksum(Array(huge[12..<29]))
      huge.replaceSubrange(29..<33, with: (0..<4).map { UInt8(truncatingIfNeeded: sum >> UInt32(24 - 8 * $0)) })
      try write(huge, "\(folder)/huge.png")
      let inspect = try MeasuredProgram.run(Tool.program, ["inspect", "huge.png"], in: folder)
      #expect(inspect.code == 0 && inspect.peakBytes > 0 && inspect.peakBytes < 64 << 20, "\(inspect.peakBytes)")
      let refused = try MeasuredProgram.run(
        Tool.program, ["crop", "huge.png", "--size", "8", "-o", "out.png"], in: folder)
      #expect(refused.code == 1 && refused.peakBytes < 64 << 20, "\(refused.peakBytes)")

      // 4096 × 4096 such pixels, 128 MiB of rows and 48 MiB as red, green and blue.
      let side = 4096
      try write(PNGFile.deepColor(side: side), "\(folder)/large.png")
      let crop = try MeasuredProgram.run(
        Tool.program, ["crop", "large.png", "--size", "64", "-o", "out.png"], in: folder)
      #expect(crop.code == 0 && crop.peakBytes > 3 * side * side, "\(crop.peakBytes)")
      #expect(crop.peakBytes < 5 * side * side + 48 << 20, "\(crop.peakBytes)")
      #expect(try PixelImage.load("\(folder)/out.png") == PixelImage(width: 64, height: 64, filledWith: .init(gray: 7)))
    }
  }
}

/// PNG files of pixels of 16 bits in four channels.
enum PNGFile {
  /// An image of one gray, in a deflate stream of one repetition after the other.
  static func deepColor(side: Int) -> [UInt8] {
    func number(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) } }
    func chunk(_ name: String, _ data: [UInt8]) -> [UInt8] {
      let checked = Array(name.utf8) + data
      return number(data.count) + checked + number(Int(checksum(checked)))
    }
    // Rows with filter 0 would need their bytes; with filter 2 all rows but the first are zeros.
    var bits = BitWriter()
    bits.add(0b010, count: 3)  // not the last block, of fixed codes
    func literal(_ byte: UInt8) {
      bits.addCode(byte < 144 ? 48 + Int(byte) : 400 + Int(byte) - 144, count: byte < 144 ? 8 : 9)
    }
    /// Repeats the last bytes.
    func repetition(length: Int, far: Bool) {
      if length == 258 { bits.addCode(0b1100_0101, count: 8) } else { bits.addCode(length - 2, count: 7) }
      // Distance 1, or 8 (the code 5 with an extra bit of 1).
      bits.addCode(far ? 5 : 0, count: 5)
      if far { bits.add(1, count: 1) }
    }
    func fill(_ count: Int, far: Bool) {
      var left = count
      while left > 0 {
        let length = left >= 258 + 3 || left == 258 ? 258 : min(left, 10)
        if length < 3 {
          for _ in 0..<length { literal(far ? 7 : 0) }
        } else {
          repetition(length: length, far: far)
        }
        left -= length
      }
    }
    literal(0)
    for _ in 0..<8 { literal(7) }
    fill(8 * side - 8, far: true)
    for _ in 1..<side {
      literal(2)
      literal(0)
      fill(8 * side - 1, far: false)
    }
    bits.addCode(0, count: 7)
    // An empty last block, stored, whose checksum nobody needs: the image is complete.
    bits.add(1, count: 3)
    bits.align()
    let stream = [0x78, 0x01] + bits.bytes + [0, 0, 0xFF, 0xFF]
    let header = number(side) + number(side) + [16, 6, 0, 0, 0]
    return [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A] + chunk("IHDR", header) + chunk("IDAT", stream)
      + chunk("IEND", [])
  }

  /// CRC-32.
  static func checksum(_ bytes: [UInt8]) -> UInt32 {
    var sum: UInt32 = 0xFFFF_FFFF
    for byte in bytes {
      sum ^= UInt32(byte)
      for _ in 0..<8 { sum = sum & 1 == 1 ? sum >> 1 ^ 0xEDB8_8320 : sum >> 1 }
    }
    return ~sum
  }

  /// Bits in the order of deflate, the lowest of a byte first.
  private struct BitWriter {
    var bytes: [UInt8] = []
    private var used = 8

    mutating func add(_ value: Int, count: Int) {
      for bit in 0..<count {
        if used == 8 {
          bytes.append(0)
          used = 0
        }
        if value >> bit & 1 == 1 { bytes[bytes.count - 1] |= 1 << used }
        used += 1
      }
    }

    /// Codes begin with their highest bit.
    mutating func addCode(_ code: Int, count: Int) {
      for bit in (0..<count).reversed() { add(code >> bit & 1, count: 1) }
    }

    mutating func align() { used = 8 }
  }
}
