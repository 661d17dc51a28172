// What determines the result of a long request, stored with what is done of it: whoever continues it must want the same.

import Foundation
import MVARFiles

/// Names and values; a name is that of an option, or says what was read.
public struct RequestSettings: Hashable, Sendable {
  /// The value of each name.
  public let values: [String: String]

  /// Settings with these values.
  public init(_ values: [String: String]) { self.values = values }

  /// Settings from ``json``; nil where that is something else.
  package init?(json: [UInt8]) {
    guard let values = try? JSONDecoder().decode([String: String].self, from: Data(json)) else { return nil }
    self.values = values
  }

  /// An object of strings, with the names in order, so that equal settings have equal bytes.
  package var json: [UInt8] {
    let members = values.sorted { ExactText($0.key) < ExactText($1.key) }
      .map { "\(JSONString.quoted($0.key)):\(JSONString.quoted($0.value))" }
    return Array("{\(members.joined(separator: ","))}".utf8)
  }

  /// Refuses to continue with other settings than a request began with.
  ///
  /// - Parameters:
  ///   - wanted: those to continue with.
  ///   - path: the file that holds these.
  /// - Throws: `FileError` that names the first setting that differs.
  package func check(_ wanted: RequestSettings, path: String) throws(FileError) {
    for name in Set(values.keys).union(wanted.values.keys).sorted() {
      let (began, now) = (values[name], wanted.values[name])
      guard began.map({ ExactText($0) }) != now.map({ ExactText($0) }) else { continue }
      func shown(_ value: String?) -> String { value.map { printable($0, limit: 200) } ?? "not set" }
      throw FileError(
        path,
        "was begun with \(printable(name, limit: 40)) \(shown(began)), now it is \(shown(now)): resume with the same "
          + "settings")
    }
  }
}
