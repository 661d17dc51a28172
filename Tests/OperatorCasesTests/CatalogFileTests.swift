// The catalog that the Python package brings along is that of the program.

import Foundation
import MVARTestSupport
import OperatorCases
import Testing

@Suite struct CatalogFileTests {
  private static let package = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  /// After a change of the operators, `mvar golden list --json list.json` and `python -m tests.catalog list.json`, in
  /// the folder `Python`, write the file again.
  @Test func theOperatorsOfThePythonPackageAreThoseOfTheCatalog() throws {
    let path = Self.package.appending(path: "Python/mvar_golden/operators.json")
    let document = try JSONDecoder().decode([String: JSONValue].self, from: try Data(contentsOf: path))
    let operators = try #require(document["operators"]?.array).compactMap(\.object)
    #expect(operators.count == OperatorCatalog.all.count)
    for (file, specification) in zip(operators, OperatorCatalog.all) {
      let right = try #require(specification.json.object)
      #expect(Set(file.keys) == ["name", "has_backward", "inputs", "outputs", "attributes"])
      for (key, value) in file {
        guard let parts = value.array?.compactMap(\.object) else {
          #expect(value == right[key])
          continue
        }
        let all = try #require(right[key]?.array).compactMap(\.object)
        #expect(parts.count == all.count, "\(specification.name) \(key)")
        for (part, whole) in zip(parts, all) {
          for (name, value) in part {
            #expect(Self.number(value) == Self.number(whole[name] ?? .null), "\(specification.name) \(name)")
          }
        }
      }
    }
  }

  /// A number the same whether it is written as 1 or as 1.0.
  private static func number(_ json: JSONValue) -> JSONValue {
    switch json {
    case .integer(let integer): .number(Double(integer))
    case .array(let elements): .array(elements.map(number))
    default: json
    }
  }
}
