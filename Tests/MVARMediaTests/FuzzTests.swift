// Thousands of damaged files from fixed seeds: each must decode or throw `FileError`, and quickly.
// Checksums are repaired in half of the PNG files, so that damage gets past them.

import MVARMedia
import Testing

@Suite("Fuzz")
struct FuzzTests {
  /// Changes, removes, repeats or inserts a few bytes.
  private func damaged(_ file: [UInt8], keeping: Int, _ numbers: inout Numbers) -> [UInt8] {
    var file = file
    for _ in 0..<Int.random(in: 1...6, using: &numbers) {
      guard file.count > keeping + 1 else { break }
      let place = Int.random(in: keeping..<file.count, using: &numbers)
      switch Int.random(in: 0..<8, using: &numbers) {
      case 0: file[place] ^= 1 << UInt8.random(in: 0..<8, using: &numbers)
      case 1: file[place] = [0, 1, 0x7F, 0x80, 0xFF].randomElement(using: &numbers)!
      case 2: file.remove(at: place)
      case 3: file.insert(UInt8.random(in: .min ... .max, using: &numbers), at: place)
      case 4: file.removeLast(Int.random(in: 0...min(20, file.count - keeping), using: &numbers))
      case 5: file.insert(contentsOf: file[place..<min(place + 16, file.count)], at: place)
      default: file[place] = UInt8.random(in: .min ... .max, using: &numbers)
      }
    }
    return file
  }

  /// Writes the correct checksum after every chunk that lies within the file.
  private func repaired(_ file: [UInt8]) -> [UInt8] {
    var file = file
    var position = 8
    while position + 12 <= file.count {
      let length = file[position..<(position + 4)].reduce(0) { $0 << 8 | Int($1) }
      guard length <= file.count - position - 12 else { break }
      let checksum = PNGSample.crc32(Array(file[(position + 4)..<(position + 8 + length)]))
      file.replaceSubrange((position + 8 + length)..<(position + 12 + length), with: PNGSample.number(Int(checksum)))
      position += 12 + length
    }
    return file
  }

  /// True when the file decodes, false when it is refused properly.
  private func decodes(_ file: [UInt8]) -> Bool {
    do {
      let image = try PixelImage(decoding: file)
      #expect(image.pixels.count == 3 * image.width * image.height)
      return true
    } catch {
      #expect(!error.description.isEmpty)
      return false
    }
  }

  @Test("damaged PNG files", arguments: [1, 2, 3, 4] as [UInt64])
  func png(_ seed: UInt64) throws {
    var numbers = Numbers(seed: seed)
    var files = [try numbers.image(width: 19, height: 7).pngBytes()]
    for (type, depth, samples) in [
      (0, 1, 1), (0, 4, 1), (0, 16, 1), (2, 8, 3), (2, 16, 3), (3, 4, 1), (3, 8, 1), (4, 8, 2), (4, 16, 2), (6, 8, 4),
      (6, 16, 4),
    ] {
      var sample = PNGSample(width: 9, height: 5, bitDepth: depth, colorType: type)
      sample.rows = (0..<5).map { _ in numbers.bytes((9 * samples * depth + 7) / 8) }
      if type == 3 { sample.palette = numbers.bytes(48) }
      sample.early = PNGSample.chunk("gAMA", PNGSample.number(45_455))
      files.append(sample.file)
    }
    var decoded = 0
    for round in 0..<3000 {
      let file = damaged(files[round % files.count], keeping: 8, &numbers)
      if decodes(round % 2 == 0 ? file : repaired(file)) { decoded += 1 }
    }
    #expect(decoded > 0 && decoded < 3000)
  }

  @Test("damaged JPEG files", arguments: [1, 2, 3, 4] as [UInt64])
  func jpeg(_ seed: UInt64) throws {
    var numbers = Numbers(seed: seed)
    let image = try numbers.image(width: 21, height: 18).resized(width: 40, height: 30, filter: .bicubic)
    let files = [
      JPEGSample.file(image, subsampling: 2, quality: 50),
      JPEGSample.file(image, subsampling: 0, quality: 20, progressive: true),
      JPEGSample.file(image, subsampling: 3, quality: 70),
      JPEGSample.file(cmyk: numbers.bytes(4 * 64), width: 8, height: 8),
    ]
    var decoded = 0
    for round in 0..<2000 {
      if decodes(damaged(files[round % files.count], keeping: 3, &numbers)) { decoded += 1 }
    }
    #expect(decoded > 0 && decoded < 2000)
  }
}
