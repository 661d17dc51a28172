// Recognizes files that are not checkpoints by their first bytes, so that the error can say what they are instead.
//
// Typical mistakes: an image, a web page saved instead of the download, a Git LFS pointer, a checkpoint that is still
// compressed. It is used only for messages; the formats themselves are detected by their readers.

import Foundation

enum FileSignature {
  private static let signatures: [(offset: Int, bytes: [UInt8], name: String)] = [
    (0, [0x89] + Array("PNG\r\n".utf8), "a PNG image"),
    (0, [0xff, 0xd8, 0xff], "a JPEG image"),
    (0, Array("GIF8".utf8), "a GIF image"),
    (8, Array("WEBP".utf8), "a WebP image"),
    (0, [0x1f, 0x8b], "a gzip-compressed file"),
    (0, Array("BZh".utf8), "a bzip2-compressed file"),
    (0, [0xfd] + Array("7zXZ".utf8), "an xz-compressed file"),
    (0, [0x28, 0xb5, 0x2f, 0xfd], "a zstd-compressed file"),
    (0, Array("7z".utf8) + [0xbc, 0xaf], "a 7z archive"),
    (257, Array("ustar".utf8), "a tar archive"),
    (0, [0x89] + Array("HDF\r\n".utf8), "an HDF5 file"),
    (0, Array("GGUF".utf8), "a GGUF model"),
    (0, [0x7f] + Array("ELF".utf8), "a program"),
    (0, Array("%PDF".utf8), "a PDF document"),
    (0, Array("version https://git-lfs".utf8), "a Git LFS pointer (the real file was not downloaded)"),
    (0, Array("<!DOCTYPE".utf8), "a web page"),
    (0, Array("<!doctype".utf8), "a web page"),
    (0, Array("<html".utf8), "a web page"),
    (0, Array("<?xml".utf8), "an XML document"),
    (0, Array("{".utf8), "a JSON document"),
  ]

  /// A sentence about a file whose format is not known.
  static func describe(_ file: ByteRegion) -> String {
    if file.count == 0 { return "is empty" }
    for (offset, bytes, name) in signatures
    where bytes.indices.allSatisfy({ file[offset + $0] == bytes[$0] }) {
      return "is \(name), not a checkpoint"
    }
    let start = (0..<64).compactMap { file[$0] }
    if start.allSatisfy({ $0 == 0 }) { return "is not a checkpoint: it begins with zeros only" }
    if start.allSatisfy({ (0x20..<0x7f).contains($0) || (0x09...0x0d).contains($0) }) {
      return
        "is not a checkpoint: it begins with the text \"\(excerpt(String(decoding: start, as: UTF8.self), limit: 40))\""
    }
    let shown = start.prefix(8).map { String(format: "%02x", $0) }.joined(separator: " ")
    return "is not a checkpoint: it begins with the bytes \(shown)"
  }
}
