// The settings of a run in its checkpoint: any settings survive a round trip, the first that differs is named by its
// option, and the texts in checkpoints of version 1 still count.

import MVARCheckpoints
import MVARFiles
import MVARTestSupport
import MVARTraining
import Testing

@Suite("settings of a run")
struct RunSettingsTests {
  private enum Choice: String, Codable {
    case first
    case second = "the-second"
  }

  /// A setting of every kind, and a group.
  private struct Settings: RunSettings {
    struct Group: RunSettings {
      var batch = 4
      var seed = UInt64.max

      init() {}

      init(_ texts: inout SettingTexts) throws {
        batch = try texts.value("--batch")
        seed = try texts.value("--seed")
      }
    }

    var group = Group()
    var lr = 0.1
    var wdEnd = 1e-5
    var clip = 2.0
    var choice = Choice.second
    var flip = true
    var neverFlip = ["a", "b c"]
    var patchNums = [1, 2, 16]
    var beginning: String?
    var fingerprints = RunFingerprints(data: "5 images, ab", tokenizer: "cd")

    init() {}

    init(_ texts: inout SettingTexts) throws {
      group = try Group(&texts)
      lr = try texts.value("--lr")
      wdEnd = try texts.value("--wd-end")
      clip = try texts.value("--clip")
      choice = try texts.choice("--choice")
      flip = try texts.value("--flip")
      neverFlip = try texts.text("--never-flip").split(separator: ", ").map(String.init)
      patchNums = try texts.integers("--patch-nums")
      beginning = texts.takes("--beginning", "") ? nil : try texts.text("--beginning")
      fingerprints = try RunFingerprints(&texts)
    }
  }

  /// What a checkpoint of version 1 contained, verbatim.
  private static let versionOne = """
    {"--batch":"4","--beginning":"","--choice":"the-second","--clip":"2.0","--flip":"true","--lr":"0.1",\
    "--never-flip":"a, b c","--patch-nums":"1,2,16","--seed":"18446744073709551615","--wd-end":"1e-05",\
    "data":"5 pictures, ab","tokenizer":"cd"}
    """

  /// A resumed run's complaint about the settings it begins with; nil if they agree.
  private func refusal(_ stored: StoredSettings, _ change: (inout Settings) -> Void = { _ in }) -> String? {
    var wanted = Settings()
    change(&wanted)
    let checkpoint = TrainingCheckpoint<TinyTraining.Engine>(
      .transformer, iteration: 0, settings: stored, metadata: [:])
    do {
      try checkpoint.check(wanted, path: "x")
      return nil
    } catch {
      return (error as? FileError)?.reason ?? "another error: \(error)"
    }
  }

  private static func sentence(_ name: String, _ began: String, _ now: String) -> String {
    "the run began with \(name) \(began), now it is \(now): resume with the same settings"
  }

  @Test("settings that differ are named, in both versions", arguments: [1, 2])
  func differences(_ version: Int) throws {
    let stored = try version == 1 ? #require(StoredSettings(text: Self.versionOne)) : StoredSettings(Settings())
    #expect(refusal(stored) == nil)
    #expect(refusal(stored) { $0.lr = 0.2 } == Self.sentence("--lr", "0.1", "0.2"))
    #expect(refusal(stored) { $0.wdEnd = 0.5 } == Self.sentence("--wd-end", "1e-05", "0.5"))
    // A transformer's batch may change.
    #expect(refusal(stored) { $0.group.batch = 5 } == nil)
    #expect(refusal(stored) { $0.group.seed -= 1 } == Self.sentence("--seed", "\(UInt64.max)", "\(UInt64.max - 1)"))
    #expect(refusal(stored) { $0.choice = .first } == Self.sentence("--choice", "the-second", "first"))
    #expect(refusal(stored) { $0.flip = false } == Self.sentence("--flip", "true", "false"))
    #expect(refusal(stored) { $0.neverFlip = [] } == Self.sentence("--never-flip", "a, b c", ""))
    #expect(refusal(stored) { $0.patchNums = [1, 2] } == Self.sentence("--patch-nums", "1, 2, 16", "1, 2"))
    #expect(refusal(stored) { $0.beginning = "v.pth" } == Self.sentence("--beginning", "not set", "v.pth"))
    #expect(
      refusal(stored) { $0.fingerprints.data = "6 images, ab" } == Self.sentence("data", "5 images, ab", "6 images, ab")
    )
    #expect(refusal(stored) { $0.fingerprints.tokenizer = "ef" } == Self.sentence("tokenizer", "cd", "ef"))
    // Of several, the first by name.
    #expect(refusal(stored) { ($0.lr, $0.clip) = (1, 1) } == Self.sentence("--clip", "2", "1"))
  }

  @Test("texts are compared by their bytes, and lists by their elements")
  func exactTexts() throws {
    func stored(_ names: [String]) throws -> StoredSettings {
      var settings = Settings()
      settings.neverFlip = names
      return try StoredSettings(settings)
    }
    for (began, now) in [
      (["\u{e9}"], ["e\u{301}"]), (["a, b"], ["a", "b"]), (["a", "b"], ["a, b"]), (["\"a"], ["a"]), ([""], []),
      (["a,b"], ["a", "b"]), (["\"a, b\""], ["a, b"]),
    ] {
      #expect(refusal(try stored(began)) { $0.neverFlip = began } == nil)
      #expect(refusal(try stored(began)) { $0.neverFlip = now } != nil, "\(began) \(now)")
    }
  }

  @Test("the oldest checkpoints do not know their tokenizer")
  func withoutTokenizer() throws {
    let old = Self.versionOne.replacing(#","tokenizer":"cd""#, with: "")
    #expect(refusal(try #require(StoredSettings(text: old))) == nil)
  }

  @Test("settings that were not written by this program")
  func damaged() throws {
    for (old, new, sentence) in [
      (#""--lr":"0.1","#, "", "does not say what --lr was"),
      ("\"0.1\"", "\"fast\"", "says that --lr was \"fast\", which makes no sense"),
      ("the-second", "third", "says that --choice was \"third\", which makes no sense"),
      (#""--lr""#, #""--later":"1","--lr""#, Self.sentence("--later", "1", "not set")),
      ("\"0.1\"", "0.1", "holds settings that are not of any known form"),
    ] {
      let text = Self.versionOne.replacing(old, with: new)
      #expect(text != Self.versionOne)
      #expect(refusal(try #require(StoredSettings(text: text))) == sentence)
    }
    #expect(
      refusal(try #require(StoredSettings(text: #"{"settings":{},"version":2}"#)))
        == Self.sentence("--batch", "not set", "4"))
    for version in [0, -1, 1, 4, Int.max] {
      #expect(
        refusal(try #require(StoredSettings(text: "{\"settings\":{},\"version\":\(version)}")))
          == "holds settings of version \(version), and this program knows those up to 3")
    }
    #expect(
      refusal(try #require(StoredSettings(text: #"{"settings":{},"version":1.5}"#)))
        == "holds settings that are not of any known form")
    for text in ["", "[]", "3", "{", "\"a\""] { #expect(StoredSettings(text: text) == nil, "\(text)") }
  }

  /// The text in which settings are stored now.
  private func stored(_ change: (inout Settings) -> Void = { _ in }) throws -> String {
    var settings = Settings()
    change(&settings)
    // A checkpoint is the only place where the text can be seen.
    return try withTemporaryFolder { folder in
      let path = "\(folder)/c.safetensors"
      var session = try TinyTraining.tokenizerSession(steps: 1, batch: 1, settings: settings)
      try session.save(iterations: 0, to: path)
      session = try TinyTraining.tokenizerSession(steps: 1, batch: 1, settings: settings)
      #expect(try session.restore(from: path) == 0)
      return try #require(Checkpoint.open(path).metadata["settings"])
    }
  }

  @Test("a setting or a key that occurs twice is refused")
  func duplicates() throws {
    let text = try stored()
    for (old, new, sentence) in [
      (
        #""lr":0.1"#, #""lr":0.1,"lr":0.1"#, "holds settings that cannot be read: their text holds the key \"lr\" twice"
      ),
      (#""lr":0.1"#, #""lr":0.1,"batch":4"#, "holds the setting --batch twice"),
      (#""lr":0.1"#, #""lr":0.1,"other":{"lr":0.1}"#, "holds the setting --lr twice"),
      (
        #""lr":0.1"#, #""lr":1e999"#, "holds settings that cannot be read: their text holds the impossible number 1e999"
      ),
      (#""lr":0.1"#, #""lr":"\ud800""#, "holds settings that cannot be read: their text is not valid JSON: …"),
    ] {
      let changed = text.replacing(old, with: new)
      #expect(changed != text, "\(old)")
      guard let settings = StoredSettings(text: changed) else { continue }
      let found = refusal(settings) ?? "none"
      if sentence.hasSuffix("…") { #expect(found.hasPrefix(sentence.dropLast())) } else { #expect(found == sentence) }
    }
  }

  @Test("only older versions may lack fingerprints and the engine")
  func missing() throws {
    let text = try stored { $0.fingerprints.pixels = "ef" }
    let without = text.replacing(#","pixels":"ef""#, with: "")
    #expect(without != text)
    func change(_ settings: inout Settings) { settings.fingerprints.pixels = "ef" }
    #expect(refusal(try #require(StoredSettings(text: text)), change) == nil)
    #expect(refusal(try #require(StoredSettings(text: without)), change) == Self.sentence("pixels", "not set", "ef"))
    let older = without.replacing("\"version\":3", with: "\"version\":2")
    #expect(older != without)
    #expect(refusal(try #require(StoredSettings(text: older)), change) == nil)
    // What an older version has counts.
    let other = text.replacing("\"version\":3", with: "\"version\":2").replacing(
      #""pixels":"ef""#, with: #""pixels":"aa""#)
    #expect(refusal(try #require(StoredSettings(text: other)), change) == Self.sentence("pixels", "aa", "ef"))
  }
}
