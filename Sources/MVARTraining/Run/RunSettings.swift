// What determines the results of a run, as its checkpoint stores it: a resumed run must have the same, except for what
// `TrainingCheckpoint` lets it change.
//
// Settings are structs whose properties are named after the options that set them. A checkpoint holds them as JSON with
// the version of the format. Version 1 was a dictionary of strings by option; version 2 did not record the engine, the
// pixels and the encoder. Both are read, and no longer written. The caller that trains defines which settings there are;
// paths that only say where something is stored are not settings.

import Foundation
import MVARCheckpoints
import MVARFiles

/// What determines the results of a run. Properties that are settings themselves are groups, whose own name does not
/// show.
public protocol RunSettings: Codable, Sendable {
  /// The settings of a checkpoint of version 1.
  ///
  /// - Throws: `SettingsError` when one is missing or invalid.
  init(_ texts: inout SettingTexts) throws
}

/// What distinguishes one data set, and one tokenizer, from others. Names in `RunFingerprints` do not stand for
/// options.
public struct RunFingerprints: RunSettings {
  /// Of the names and the labels of the training data.
  public var data: String
  /// Of the codes of the tokenizer; nil where there is none. Old checkpoints lack this and what follows, and are not compared
  /// in that respect.
  public var tokenizer: String?
  /// Of the pixels of all images; for cached images, of their tokens.
  public var pixels: String?
  /// Of what encodes the images; nil where nothing does.
  public var encoder: String?

  /// The fingerprints of a run.
  public init(data: String, tokenizer: String? = nil, pixels: String? = nil, encoder: String? = nil) {
    self.data = data
    self.tokenizer = tokenizer
    self.pixels = pixels
    self.encoder = encoder
  }

  /// Those of a checkpoint of version 1, in which images had another name.
  public init(_ texts: inout SettingTexts) throws {
    data = try texts.text("data").replacingOccurrences(of: " pictures, ", with: " images, ")
    tokenizer = texts.textIfPresent("tokenizer")
  }
}

/// Why settings cannot be read.
public struct SettingsError: Error, CustomStringConvertible {
  /// A sentence without its subject, the file, and without a full stop.
  public let description: String
}

/// The settings of a checkpoint of version 1: a string for each option. What was read is removed.
public struct SettingTexts {
  fileprivate(set) var remaining: [String: String]

  /// All strings of a checkpoint.
  public init(_ texts: [String: String]) { remaining = texts }

  /// The string of a setting that may be missing.
  public mutating func textIfPresent(_ name: String) -> String? { remaining.removeValue(forKey: name) }

  /// The string of a setting.
  public mutating func text(_ name: String) throws -> String {
    guard let text = textIfPresent(name) else { throw SettingsError(description: "does not say what \(name) was") }
    return text
  }

  /// A number, or whether a flag was set.
  public mutating func value<Value: LosslessStringConvertible>(_ name: String) throws -> Value {
    let text = try text(name)
    guard let value = Value(text) else { throw Self.unusable(name, text) }
    return value
  }

  /// One of several choices.
  public mutating func choice<Value: RawRepresentable<String>>(_ name: String) throws -> Value {
    let text = try text(name)
    guard let value = Value(rawValue: text) else { throw Self.unusable(name, text) }
    return value
  }

  /// Removes a setting if it has this string.
  public mutating func takes(_ name: String, _ text: String) -> Bool {
    guard remaining[name] == text else { return false }
    remaining[name] = nil
    return true
  }

  /// A list of integers, separated by commas or spaces.
  public mutating func integers(_ name: String) throws -> [Int] {
    let text = try text(name)
    let parts = text.split { $0 == "," || $0 == "_" || $0.isWhitespace }
    let numbers = parts.compactMap { Int($0) }
    guard numbers.count == parts.count, !numbers.isEmpty else { throw Self.unusable(name, text) }
    return numbers
  }

  private static func unusable(_ name: String, _ text: String) -> SettingsError {
    SettingsError(description: "says that \(name) was \"\(text.prefix(60))\", which makes no sense")
  }
}

/// The settings in a checkpoint, in any version of the format.
public struct StoredSettings: Hashable, Sendable {
  /// The version that is written.
  private static let version = 3
  /// What checkpoints of earlier versions may lack.
  private static let unknownBefore: Set = [
    "tokenizer", "pixels", "encoder", "--device", "--precision", "--products",
  ]

  /// As stored in the file: JSON.
  let text: String

  /// Settings to be stored.
  public init(_ settings: some RunSettings) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    let versioned = Versioned(version: Self.version, settings: settings)
    text = String(decoding: try encoder.encode(versioned), as: UTF8.self)
  }

  /// Settings from a file; nil when the text does not have the format of any version.
  public init?(text: String) {
    struct Anything: Decodable {}
    guard (try? JSONDecoder().decode([String: Anything].self, from: Data(text.utf8))) != nil else { return nil }
    self.text = text
  }

  /// The first setting, by name, in which a run differs from these; nil if all agree.
  ///
  /// - Parameters:
  ///   - fingerprints: whether fingerprints are compared, or only options.
  ///   - mayDiffer: whether a setting may differ in this way.
  /// - Throws: `SettingsError` when these cannot be read.
  func difference<Settings: RunSettings>(
    to wanted: Settings, fingerprints: Bool = true,
    mayDiffer: (_ name: String, _ began: String?, _ now: String?) -> Bool = { _, _, _ in false }
  ) throws -> (name: String, began: String?, now: String?)? {
    let (began, version) = try texts(of: Settings.self)
    let now = try StoredSettings(wanted).texts(of: Settings.self).texts
    // By their bytes: two spellings of "é" are the names of two classes.
    for name in Set(began.keys).union(now.keys).sorted()
    where began[name].map({ ExactText($0) }) != now[name].map({ ExactText($0) }) {
      if began[name] == nil && version < Self.version && Self.unknownBefore.contains(name) { continue }
      if !fingerprints && !name.hasPrefix("-") || mayDiffer(name, began[name], now[name]) { continue }
      return (name, began[name], now[name])
    }
    return nil
  }

  /// These settings as a checkpoint stores them.
  public var json: String { text }

  /// The first setting, by name, in which these differ from others, with both values; nil if they are the same.
  ///
  /// - Throws: `SettingsError` when one of them cannot be read.
  public func firstDifference<Settings: RunSettings>(from other: StoredSettings, of type: Settings.Type) throws
    -> String?
  {
    let (own, others) = (try texts(of: type).texts, try other.texts(of: type).texts)
    let name = Set(own.keys).union(others.keys).sorted().first { name in
      own[name].map { ExactText($0) } != others[name].map { ExactText($0) }
    }
    return name.map { "\($0): \(own[$0] ?? "not set") and \(others[$0] ?? "not set")" }
  }

  /// A setting as a string, by the option that sets it; nil where there is none.
  ///
  /// - Throws: `SettingsError` when these cannot be read.
  func text<Settings: RunSettings>(of name: String, in type: Settings.Type) throws -> String? {
    try texts(of: type).texts[name]
  }

  /// Every setting as a string, by the option that sets it, and the version of the format.
  private func texts<Settings: RunSettings>(of type: Settings.Type) throws -> (texts: [String: String], version: Int) {
    let members: [StrictJSON.Member]
    do {
      members =
        try StrictJSON(parsing: ByteRegion(Array(text.utf8)), subject: "their text", fractions: true).members ?? []
    } catch let error as FileError {
      throw SettingsError(description: "holds settings that cannot be read: \(error.reason)")
    }
    if let strings = Self.strings(members) {
      var texts = SettingTexts(strings)
      let known = try StoredSettings(Settings(&texts)).texts(of: type).texts
      // A setting that this version does not have never differs.
      return (known.merging(texts.remaining) { known, _ in known }, 1)
    }
    func value(_ key: String) -> StrictJSON? { members.first { $0.key == key }?.value }
    guard case .integer(let version)? = value("version"), let settings = value("settings")?.members else {
      throw SettingsError(description: "holds settings that are not of any known form")
    }
    guard (2...Self.version).contains(version) else {
      throw SettingsError(
        description: "holds settings of version \(version), and this program knows those up to \(Self.version)")
    }
    var result: [String: String] = [:]
    try Self.collect(settings, prefix: "--", into: &result)
    return (result, version)
  }

  /// The members of an object of strings; nil if any member is something else.
  private static func strings(_ members: [StrictJSON.Member]) -> [String: String]? {
    var result: [String: String] = [:]
    for member in members {
      guard case .string(let text) = member.value else { return nil }
      result[member.key] = text
    }
    return result
  }

  /// Puts all settings of an object, and of the groups in it, into a dictionary, by the option that sets each.
  private static func collect(_ members: [StrictJSON.Member], prefix: String, into texts: inout [String: String]) throws
  {
    for member in members {
      if let group = member.value.members {
        try collect(group, prefix: member.key == "fingerprints" ? "" : prefix, into: &texts)
        continue
      }
      let name = prefix + hyphenated(member.key)
      guard texts.updateValue(text(member.value), forKey: name) == nil else {
        throw SettingsError(description: "holds the setting \(name) twice")
      }
    }
  }

  /// A value as an option has it; a list with commas, in which an empty text or one with a comma or quotation mark is quoted.
  private static func text(_ value: StrictJSON) -> String {
    switch value {
    case .null: "null"
    case .bool(let flag): "\(flag)"
    case .integer(let number): "\(number)"
    case .number(let text): UInt64(text).map { "\($0)" } ?? Double(text).map { "\($0)" } ?? text
    case .string(let text): text
    case .array(let values):
      values.map { value in
        guard case .string(let text) = value, text.isEmpty || text.utf8.contains(where: { $0 == 44 || $0 == 34 }) else {
          return self.text(value)
        }
        return JSONString.quoted(text)
      }.joined(separator: ", ")
    case .object: ""
    }
  }

  /// `neverFlip` is set by `--never-flip`.
  private static func hyphenated(_ name: String) -> String {
    name.reduce(into: "") { $0 += $1.isUppercase ? "-\($1.lowercased())" : String($1) }
  }
}

/// Settings with the version of their format.
private struct Versioned<Settings: Encodable>: Encodable {
  let version: Int
  let settings: Settings
}
