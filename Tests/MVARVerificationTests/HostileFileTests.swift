// Golden files of operators in which something is wrong. `Fixtures/comparison/hostile.json` lists them for this test and
// for that of the Python package, which must agree: a file that is right, and what each of the others changes in it.

import Foundation
import MVARCheckpoints
import MVARComparison
import MVARTestSupport
import MVARVerification
import OperatorCases
import TensorCore
import Testing

@Suite struct HostileFileTests {
  /// A file, and what must be said of it.
  struct Example: CustomTestStringConvertible, Sendable {
    let members: [String: JSONValue]
    let base: [String: JSONValue]

    var testDescription: String { members["name"]?.string ?? "" }

    /// The rows that neither passed nor may be missing, with their verdicts; nil if nothing of the file can be judged.
    var rows: [String: String]? { (members["swift"] ?? members["rows"])?.object?.compactMapValues(\.string) }
    /// Whether something is said of a row, or of the file, that must be.
    func isSaid(in text: String) -> Bool { members["says"]?.string.map(text.contains) ?? true }

    func write(to path: String) throws {
      func part(_ key: String) -> [String: JSONValue] {
        Self.merged(base[key] ?? .null, members[key] ?? .object([:])).object ?? [:]
      }
      var metadata = part("metadata").compactMapValues(\.string)
      metadata["ops"] = try JSONValue.object(part("ops")).text()
      let tensors = try part("tensors").sorted { $0.key < $1.key }.map { ($0, try Self.tensor($1)) }
      try SafetensorsWriter.write(tensors, metadata: metadata, to: path)
    }

    /// What RFC 7396 makes of a value: null removes a member.
    private static func merged(_ old: JSONValue, _ patch: JSONValue) -> JSONValue {
      guard let patch = patch.object else { return patch }
      var members = old.object ?? [:]
      for (key, value) in patch { members[key] = value == .null ? nil : merged(members[key] ?? .null, value) }
      return .object(members)
    }

    private static func tensor(_ json: JSONValue) throws -> StoredTensor {
      let description = try #require(json.object)
      let shape = (description["shape"]?.array ?? []).compactMap(\.integer)
      let numbers = (description["numbers"]?.array ?? []).compactMap(\.number)
      return switch description["dtype"]?.string {
      case "I64": try StoredTensor(numbers.map { Int($0) }, shape: shape)
      case "F32": try StoredTensor(numbers.map { Float($0) }, shape: shape)
      default: try StoredTensor(numbers, shape: shape)
      }
    }
  }

  private static let examples: [Example] = {
    guard let data = FileManager.default.contents(atPath: Fixtures.path("comparison/hostile.json")),
      let document = try? JSONDecoder().decode([String: JSONValue].self, from: data)
    else { return [] }
    let base = document["base"]?.object ?? [:]
    return (document["files"]?.array ?? []).compactMap { $0.object.map { Example(members: $0, base: base) } }
  }()

  @Test func thereAreExamples() { #expect(Self.examples.count > 40) }

  @Test("`golden check` says what the Python package says", arguments: examples)
  func check(_ example: Example) throws {
    try withTemporaryFolder { folder in
      let path = "\(folder)/a.safetensors"
      try example.write(to: path)
      let report: ComparisonReport
      do {
        report = try Verifier<Reference<Double>>(on: HostDevice()).verify(path)
      } catch {
        #expect(example.rows == nil && example.isSaid(in: "\(error)"), "\(error)")
        return
      }
      let wrong = report.rows.filter { !$0.passes && $0.verdict != .notInFile }
      #expect(Dictionary(uniqueKeysWithValues: wrong.map { ($0.name, $0.verdict.rawValue) }) == example.rows)
      #expect(wrong.allSatisfy { example.isSaid(in: $0.statement) }, "\(wrong)")
    }
  }

  @Test("`golden run` judges the same", arguments: examples)
  func run(_ example: Example) throws {
    try withTemporaryFolder { folder in
      let path = "\(folder)/a.safetensors"
      try example.write(to: path)
      guard let rows = example.rows else {
        #expect(throws: (any Error).self) { try KernelCases(ofFile: path, in: nil) { _ in true } }
        return
      }
      let cases = try KernelCases(ofFile: path, in: nil) { _ in true }
      let unread = cases.cases.flatMap { golden in
        golden.parts.map { golden.row($0, found: nil) }.filter { $0.verdict == .notJudged }
      }
      #expect(Set((cases.others + unread).map(\.name)) == Set(rows.filter { $0.value == "notJudged" }.keys))
    }
  }
}
