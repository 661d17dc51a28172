import Foundation
import MVARFiles
import Testing

@Suite("JSON whose keys are distinct")
struct DistinctKeysTests {
  struct Anything: Decodable {
    init(from decoder: any Decoder) throws {}
  }

  private func read(_ text: String) throws { _ = try JSONDecoder.decodeDistinct(Anything.self, from: Data(text.utf8)) }

  @Test(
    "a repeated key is named, at any depth and however it is written",
    arguments: [
      (#"{"a": 1, "a": 2}"#, "a"), (#"[{"b": {"x": 0, "y": [], "x": 1}}]"#, "x"), (#"{"a": 1, "\u0061": 2}"#, "a"),
      (#"{"k": [1, {"q": 1}, 2], "k": 3}"#, "k"), (#"{"": 0, "": 0}"#, ""), (#"{"\"": 0, "\u0022": 0}"#, "\""),
      (#"{"a": {"z": 1}, "b": 2, "a": {"z": 1}}"#, "a"),
    ])
  func repeated(text: String, key: String) {
    #expect(throws: RepeatedKeyError.self) { try read(text) }
    do { try read(text) } catch { #expect((error as? RepeatedKeyError)?.key == key) }
  }

  @Test(
    "distinct keys are read: in other objects, as values, and where only the Unicode form differs",
    arguments: [
      #"{}"#, #"[]"#, #""a""#, #"{"a": "a", "b": "a"}"#, #"[{"a": 1}, {"a": 2}]"#, #"{"a": {"a": {"a": 1}}}"#,
      #"{"a": ["a", "a"], "b": ["a", "a"]}"#, #"{"a": ",", "b": "{\"a\":"}"#, #"{"a\\": 1, "a": 2}"#,
      "{\"\u{e9}\": 1, \"e\u{301}\": 2}",
    ])
  func distinct(text: String) throws { try read(text) }
}
