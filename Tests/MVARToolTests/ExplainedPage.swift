// A page of `mvar explain` as its script reads it: the JSON, and the arrays that are packed in it.

import CMVARZlib
import Foundation
import MVARMedia
import Testing

/// A page that was written.
struct ExplainedPage {
  let html: String
  let json: [String: Any]

  init(_ path: String) throws {
    html = try String(contentsOfFile: path, encoding: .utf8)
    let parts = html.components(separatedBy: "<script type=\"application/json\" id=\"data\">")
    try #require(parts.count == 2)
    let text = try #require(parts[1].components(separatedBy: "</script>").first)
    json = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
  }

  subscript(_ group: String) -> [String: Any] { json[group] as? [String: Any] ?? [:] }

  var sides: [Int] { self["model"]["sides"] as? [Int] ?? [] }
  var length: Int { sides.reduce(0) { $0 + $1 * $1 } }
  var fieldNames: Set<String> { Set(self["fields"].keys) }

  /// The bytes of an array.
  func bytes(_ name: String) throws -> [UInt8] {
    let field = try #require(self["fields"][name] as? [String: String], "\(name)")
    let packed = [UInt8](try #require(Data(base64Encoded: field["zlib"] ?? "")))
    // Larger than any array of these tests.
    var (size, result) = (uLong(1 << 24), [UInt8](repeating: 0, count: 1 << 24))
    try #require(uncompress(&result, &size, packed, uLong(packed.count)) == Z_OK)
    return Array(result[..<Int(size)])
  }

  /// An array of 16 bits: all low bytes, then all high ones.
  func words(_ name: String) throws -> [Int] {
    let bytes = try bytes(name)
    let half = bytes.count / 2
    return (0..<half).map { Int(bytes[$0]) | Int(bytes[half + $0]) << 8 }
  }

  /// The images after each scale.
  func pictures() throws -> PixelImage {
    let link = try #require(json["pictures"] as? String)
    try #require(link.hasPrefix("data:image/png;base64,"))
    return try PixelImage(decoding: [UInt8](try #require(Data(base64Encoded: String(link.dropFirst(22))))))
  }

  /// The sampled settings that the page's own test checks.
  var settings: [[String: Any]] { self["expected"]["settings"] as? [[String: Any]] ?? [] }
}
