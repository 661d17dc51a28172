// Makes small image files for tests: PNG of every pixel type, written here byte by byte with stored deflate blocks,
// and JPEG through TurboJPEG's compressor. Nothing here uses the code under test.

import CMVARTurboJPEG
import MVARMedia

/// A reproducible sequence of numbers (SplitMix64).
struct Numbers: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) }
  }

  mutating func image(width: Int, height: Int) throws -> PixelImage {
    try PixelImage(width: width, height: height, pixels: bytes(3 * width * height))
  }
}

/// A PNG file under construction.
struct PNGSample {
  var width: Int
  var height: Int
  var bitDepth = 8
  var colorType = 2
  /// The rows, packed as the file format requires, without filter bytes.
  var rows: [[UInt8]] = []
  /// The filter of each row; none for all of them if empty.
  var filters: [UInt8] = []
  var palette: [UInt8] = []
  /// Chunks between the header and the palette.
  var early: [UInt8] = []
  /// Chunks between the palette and the pixels.
  var late: [UInt8] = []

  static let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]

  var file: [UInt8] {
    let pixels = rows.enumerated().flatMap { [filters.isEmpty ? 0 : filters[$0.offset]] + $0.element }
    var file = PNGSample.signature + header + early
    if !palette.isEmpty { file += PNGSample.chunk("PLTE", palette) }
    file += late
    file += PNGSample.chunk("IDAT", PNGSample.stored(pixels))
    return file + PNGSample.chunk("IEND", [])
  }

  var header: [UInt8] {
    PNGSample.chunk(
      "IHDR",
      PNGSample.number(width) + PNGSample.number(height) + [UInt8(bitDepth), UInt8(colorType), 0, 0, 0])
  }

  static func number(_ value: Int) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) }
  }

  static func chunk(_ name: String, _ data: [UInt8]) -> [UInt8] {
    let checked = Array(name.utf8) + data
    return number(data.count) + checked + number(Int(crc32(checked)))
  }

  /// A zlib stream that does not compress.
  static func stored(_ data: [UInt8]) -> [UInt8] {
    var result: [UInt8] = [0x78, 0x01]
    var start = 0
    repeat {
      let count = min(data.count - start, 65_535)
      let isLast: UInt8 = start + count == data.count ? 1 : 0
      let (low, high) = (UInt8(count & 255), UInt8(count >> 8))
      result += [isLast, low, high, ~low, ~high] + data[start..<(start + count)]
      start += count
    } while start < data.count
    var (a, b) = (1, 0)
    for byte in data {
      a = (a + Int(byte)) % 65_521
      b = (b + a) % 65_521
    }
    return result + number(b << 16 | a)
  }

  static func crc32(_ bytes: [UInt8]) -> UInt32 {
    var crc: UInt32 = 0xFFFF_FFFF
    for byte in bytes {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
    }
    return ~crc
  }
}

enum JPEGSample {
  /// A JPEG file of the image.
  ///
  /// - Parameters:
  ///   - subsampling: TurboJPEG's number: 0 is 4:4:4, 2 is 4:2:0, 3 is gray.
  ///   - progressive: several scans.
  static func file(
    _ image: PixelImage, subsampling: Int32 = 2, quality: Int32 = 90, progressive: Bool = false
  ) -> [UInt8] {
    compress(
      image.pixels, width: image.width, height: image.height, format: TJPF_RGB, subsampling: subsampling,
      quality: quality, progressive: progressive)
  }

  /// A JPEG file with four bytes per pixel: cyan, magenta, yellow, key, stored as given.
  static func file(cmyk: [UInt8], width: Int, height: Int) -> [UInt8] {
    compress(
      cmyk, width: width, height: height, format: TJPF_CMYK, subsampling: 0, quality: 100, progressive: false)
  }

  private static func compress(
    _ samples: [UInt8], width: Int, height: Int, format: TJPF, subsampling: Int32, quality: Int32, progressive: Bool
  ) -> [UInt8] {
    let encoder = tjInitCompress()
    defer { tjDestroy(encoder) }
    var memory: UnsafeMutablePointer<UInt8>?
    var count: UInt = 0
    let status = tjCompress2(
      encoder, samples, Int32(width), 0, Int32(height), Int32(format.rawValue), &memory, &count, subsampling,
      quality, progressive ? TJFLAG_PROGRESSIVE : 0)
    defer { tjFree(memory) }
    precondition(status == 0, "TurboJPEG does not compress")
    return Array(UnsafeBufferPointer(start: memory, count: Int(count)))
  }
}
