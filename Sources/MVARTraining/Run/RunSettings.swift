// What determines the results of a run, as its checkpoint stores it: a resumed run must have exactly the same.
//
// Settings are structs whose properties are named after the options that set them. A checkpoint holds them as JSON with
// the version of the format. Version 1 was a dictionary of strings by option; it is read, and no longer written. The
// caller that trains defines which settings there are; paths that only say where something is stored are not settings.

import Foundation
import MVARCheckpoints

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
  /// Of the training data.
  public var data: String
  /// Of the tokenizer; nil where there is none, and in the oldest checkpoints, which are then not compared in this
  /// respect.
  public var tokenizer: String?

  /// The fingerprints of a run.
  public init(data: String, tokenizer: String? = nil) {
    self.data = data
    self.tokenizer = tokenizer
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
  private static let version = 2

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
    guard case .group? = try? JSONDecoder().decode(SettingValue.self, from: Data(text.utf8)) else { return nil }
    self.text = text
  }

  /// The first setting, by name, in which a run differs from these; nil if all agree.
  ///
  /// - Throws: `SettingsError` when these cannot be read.
  func difference<Settings: RunSettings>(to wanted: Settings) throws -> (name: String, began: String?, now: String?)? {
    let began = try texts(of: Settings.self)
    let now = try StoredSettings(wanted).texts(of: Settings.self)
    for name in Set(began.keys).union(now.keys).sorted() where began[name] != now[name] {
      // A fingerprint that older runs did not compute.
      if began[name] == nil && !name.hasPrefix("-") { continue }
      return (name, began[name], now[name])
    }
    return nil
  }

  /// Every setting as a string, by the option that sets it.
  private func texts<Settings: RunSettings>(of type: Settings.Type) throws -> [String: String] {
    let data = Data(text.utf8)
    if let texts = try? JSONDecoder().decode([String: String].self, from: data) {
      var texts = SettingTexts(texts)
      let known = try StoredSettings(Settings(&texts)).texts(of: type)
      // A setting that this version does not have never differs.
      return known.merging(texts.remaining) { known, _ in known }
    }
    guard let stored = try? JSONDecoder().decode(Versioned<SettingValue>.self, from: data) else {
      throw SettingsError(description: "holds settings that are not of any known form")
    }
    guard stored.version == Self.version else {
      throw SettingsError(
        description: "holds settings of version \(stored.version), and this program knows those up to \(Self.version)")
    }
    var result: [String: String] = [:]
    stored.settings.collect(name: "", prefix: "--", into: &result)
    return result
  }
}

/// Settings with the version of their format.
private struct Versioned<Settings> {
  let version: Int
  let settings: Settings
}

extension Versioned: Encodable where Settings: Encodable {}
extension Versioned: Decodable where Settings: Decodable {}

/// A JSON value.
private enum SettingValue: Decodable {
  case text(String)
  case list([SettingValue])
  case group([String: SettingValue])

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let value = try? container.decode(Bool.self) {
      self = .text("\(value)")
    } else if let value = try? container.decode(UInt64.self) {
      self = .text("\(value)")
    } else if let value = try? container.decode(Double.self) {
      self = .text("\(value)")
    } else if let value = try? container.decode(String.self) {
      self = .text(value)
    } else if let values = try? container.decode([SettingValue].self) {
      self = .list(values)
    } else {
      self = .group(try container.decode([String: SettingValue].self))
    }
  }

  /// Puts all settings it contains into a dictionary, by the option that sets each.
  func collect(name: String, prefix: String, into texts: inout [String: String]) {
    switch self {
    case .text(let text):
      texts[prefix + Self.hyphenated(name)] = text
    case .list(let values):
      let parts = values.map { if case .text(let text) = $0 { text } else { "" } }
      texts[prefix + Self.hyphenated(name)] = parts.joined(separator: ", ")
    case .group(let members):
      let prefix = name == "fingerprints" ? "" : prefix
      for (name, value) in members { value.collect(name: name, prefix: prefix, into: &texts) }
    }
  }

  /// `neverFlip` is set by `--never-flip`.
  private static func hyphenated(_ name: String) -> String {
    name.reduce(into: "") { $0 += $1.isUppercase ? "-\($1.lowercased())" : String($1) }
  }
}
