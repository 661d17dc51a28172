// Files that are not what they claim, and paths that cannot be written: each gives one sentence with the name.

import Foundation
import MVARFiles
import MVARMedia
import MVARTestSupport
import Testing

@Suite("Hostile files")
struct HostileFileTests {
  /// The sentence that an attempt fails with.
  private func sentence(_ attempt: () throws -> Void) throws -> String {
    let error = try #require(throws: FileError.self) { try attempt() }
    let text = error.description
    #expect(text.contains(": ") && !text.hasSuffix(".") && !text.contains("\n"), "not one sentence: \(text)")
    return text
  }

  static let small = PNGSample(width: 4, height: 2, rows: [[UInt8]](repeating: [UInt8](1...12), count: 2))

  static var table: [(name: String, bytes: [UInt8], reason: String)] {
    var badChecksum = small.file
    badChecksum[30] ^= 1
    var hugeChunk = small
    hugeChunk.early = PNGSample.chunk("tEXt", [])
    hugeChunk.early.replaceSubrange(0..<4, with: [0xFF, 0xFF, 0xFF, 0xFF])
    let huge = PNGSample(width: 100_000, height: 100_000, rows: [[0]])
    let bomb = PNGSample(width: 10_000, height: 10_000, rows: [[0]])
    let wide = PNGSample(width: 60_000, height: 60_000, rows: [[0]])
    let flat = PNGSample(width: 0, height: 5, rows: [[]])
    let negative = PNGSample(width: 0xFFFF_FFFF, height: 1, rows: [[]])
    let oddDepth = PNGSample(width: 1, height: 1, bitDepth: 3, colorType: 2, rows: [[0]])
    let oddType = PNGSample(width: 1, height: 1, bitDepth: 8, colorType: 5, rows: [[0]])
    let fewRows = PNGSample(width: 4, height: 9, rows: [[UInt8](1...11)])
    var noPalette = PNGSample(width: 1, height: 1, bitDepth: 8, colorType: 3, rows: [[0]])
    noPalette.early = PNGSample.chunk("tRNS", [0])
    let noHeader = PNGSample.signature + PNGSample.chunk("IDAT", PNGSample.stored([UInt8](repeating: 0, count: 40)))
    let noPixels = PNGSample.signature + small.header + PNGSample.chunk("IEND", [])
    return [
      ("empty.png", [], "is empty"),
      ("text.png", Array("hello, world\n".utf8), "is not an image"),
      ("one.png", [0x89], "is not an image"),
      ("signature.png", PNGSample.signature, "cut short"),
      ("checksum.png", badChecksum, "CRC"),
      ("hugechunk.png", hugeChunk.file, "cut short"),
      ("huge.png", huge.file, "100000 × 100000"),
      ("wide.png", wide.file, "60000 × 60000"),
      ("bomb.png", bomb.file, "cannot hold them"),
      ("flat.png", flat.file, "0 × 5"),
      ("negative.png", negative.file, "4294967295"),
      ("depth.png", oddDepth.file, "damaged"),
      ("type.png", oddType.file, "damaged"),
      ("rows.png", fewRows.file, "damaged"),
      ("palette.png", noPalette.file, "damaged"),
      ("header.png", noHeader, "without its header"),
      ("pixels.png", noPixels, "damaged"),
      ("a.gif", Array("GIF89a".utf8) + [1, 0, 1, 0], "GIF"),
      ("a.webp", Array("RIFF".utf8) + [9, 0, 0, 0] + Array("WEBPVP8 ".utf8), "WebP"),
      ("a.bmp", Array("BM".utf8) + [UInt8](repeating: 0, count: 52), "BMP"),
      ("a.tif", [0x49, 0x49, 0x2A, 0, 8, 0, 0, 0], "TIFF"),
      ("a.ppm", Array("P6\n1 1\n255\n...".utf8), "PNM"),
      ("a.avif", [0, 0, 0, 28] + Array("ftypavif".utf8), "AVIF"),
      ("start.jpg", [0xFF, 0xD8, 0xFF], "JPEG"),
      ("noise.jpg", [0xFF, 0xD8, 0xFF, 0xE0] + [UInt8](repeating: 0x55, count: 300), "JPEG"),
    ]
  }

  @Test("files", arguments: table.indices)
  func files(_ index: Int) throws {
    let entry = HostileFileTests.table[index]
    try withTemporaryFolder { folder in
      let path = "\(folder)/\(entry.name)"
      try Data(entry.bytes).write(to: URL(filePath: path))
      let text = try sentence { _ = try PixelImage.load(path) }
      #expect(text.hasPrefix(path + ": ") && text.contains(entry.reason), "\(text)")
    }
  }

  @Test("a JPEG that claims far more pixels than its bytes can hold")
  func hugeJPEG() throws {
    var file = try JPEGSample.file(PixelImage(width: 8, height: 8, filledWith: .white))
    let frame = try #require(file.indices.dropLast().first { file[$0] == 0xFF && file[$0 + 1] == 0xC0 })
    for (size, reason) in [([0xFF, 0xFF, 0xFF, 0xFF], "65535 × 65535"), ([0x20, 0, 0x20, 0], "cannot hold them")] {
      file.replaceSubrange((frame + 5)..<(frame + 9), with: size.map { UInt8($0) })
      let text = try sentence { _ = try PixelImage(decoding: file) }
      // The library's own limit of 65 500 per side may apply first.
      #expect(text.contains(reason) || text.contains("65500"), "\(text)")
    }
  }

  @Test("every PNG whose pixels are cut short is refused; what follows them may be missing")
  func truncatedPNG() throws {
    let file = HostileFileTests.small.file
    // The end of the file is IEND of 12 bytes, the checksum of IDAT, and zlib's checksum.
    let last = file.count - 12 - 4 - 4
    let image = try PixelImage(decoding: file)
    for count in last..<file.count {
      #expect(try PixelImage(decoding: Array(file[..<count])) == image, "\(count) bytes")
    }
    // Whole rows, but too few: the rest is black.
    let less = try LoadedImage(decoding: PNGSample(width: 4, height: 3, rows: [[UInt8](1...12)]).file)
    #expect(less.image.pixels == Array(1...12) + [UInt8](repeating: 0, count: 24))
    #expect(less.damage == "its pixels end early, and the rest is black")
    for count in 0..<last {
      #expect(throws: FileError.self, "\(count) bytes") { try PixelImage(decoding: Array(file[..<count])) }
    }
  }

  @Test("folders, missing files, pipes, devices and impossible paths")
  func places() throws {
    try withTemporaryFolder { folder in
      #expect(try sentence { _ = try PixelImage.load(folder) }.contains("is a folder"))
      #expect(
        try sentence { _ = try PixelImage.load(folder + "/missing.png") }.contains(
          "missing.png: the file does not exist"))
      #expect(try sentence { _ = try PixelImage.load("") }.contains("empty"))
      #expect(try sentence { _ = try PixelImage.load("a\0b") }.contains("zero byte"))
      #expect(try sentence { _ = try PixelImage.load("/dev/null") }.contains("is a device"))
      let pipe = folder + "/pipe"
      #expect(mkfifo(pipe, 0o600) == 0)
      #expect(try sentence { _ = try PixelImage.load(pipe) }.contains("is a pipe"))
      _ = try sentence { _ = try PixelImage.load(folder + "/two\nlines") }
    }
  }

  @Test("a failed write leaves the old file and nothing else")
  func failedWrites() throws {
    let image = try PixelImage(width: 3, height: 3, filledWith: .white)
    try withTemporaryFolder { folder in
      let file = folder + "/file"
      try Data([1, 2, 3]).write(to: URL(filePath: file))
      for path in [file + "/a.png", folder, folder + "/none/a.png", folder + "/new/", "", "/dev/full"] {
        _ = try sentence { try image.writePNG(to: path) }
      }
      let longName = folder + "/" + String(repeating: "n", count: 300) + ".png"
      #expect(try sentence { try image.writePNG(to: longName) }.contains("cannot be written"))
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["file"])
      let contents = try Data(contentsOf: URL(filePath: file))
      #expect(contents == Data([1, 2, 3]))
    }
  }

  @Test("a full disk is an error of the system")
  func fullDisk() throws {
    let descriptor = open("/dev/full", O_WRONLY)
    guard descriptor >= 0 else { return }  // only Linux has it
    defer { close(descriptor) }
    #expect(throws: SystemError(ENOSPC)) { try Descriptor.writeAll([1, 2, 3], to: descriptor) }
  }

  @Test("a write replaces a file, keeps its permissions and follows links")
  func replacing() throws {
    let image = try PixelImage(width: 3, height: 3, filledWith: .white)
    try withTemporaryFolder { folder in
      let (file, link) = (folder + "/file.png", folder + "/link.png")
      try Data([1]).write(to: URL(filePath: file))
      #expect(chmod(file, 0o640) == 0 && symlink("file.png", link) == 0)
      try image.writePNG(to: link)
      #expect(try PixelImage.load(file) == image)
      var status = stat()
      #expect(lstat(link, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK)
      #expect(stat(file, &status) == 0 && status.st_mode & 0o777 == 0o640)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).count == 2)
    }
  }
}
