// `mvar golden list`: the catalog of operators, with what each computes, takes and returns, and its cases.

import ArgumentParser
import MVARFiles
import OperatorCases

extension Golden {
  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List the operators: formulas, inputs with their shapes, attributes, cases.",
      discussion: """
        The same letter is the same length everywhere in an operator, and `...` is any number of sides. All operators \
        in short, or one of them with all its attributes and cases; `--json` writes everything for other programs.

          mvar golden list
          mvar golden list neighborhoodAttention
          mvar golden list --json operators.json
        """)

    @Argument(help: "The operator (default: all of them).")
    var name: String?

    @Option(parsing: .unconditional, help: ArgumentHelp("A file for the list (.json).", valueName: "file"))
    var json: String?

    func run() throws {
      if let json { try OutputFile.check(json, endings: [".json"], keeping: []) }
      let operators = try name.map { [try OperatorArgument.specification($0)] } ?? OperatorCatalog.all
      if let json {
        let document = JSONValue.object(["format": .integer(1), "operators": .array(operators.map(\.json))])
        try FileReplacement.write(Array((try document.text(pretty: true) + "\n").utf8), to: json)
        return try Console.print(json: json)
      }
      for (place, one) in operators.enumerated() {
        if place > 0 { try Console.print("") }
        try name == nil ? Self.show(one) : Self.showEverything(of: one)
      }
    }

    /// An operator in short.
    private static func show(_ specification: OperatorSpecification) throws {
      try Console.print("\(specification)")
      try Console.print("  \(specification.formula)")
      let inputs = specification.inputs.map(\.description).joined(separator: "; ")
      try Console.print("  \(inputs) → \(specification.outputs.map(\.description).joined(separator: "; "))")
      if !specification.attributes.isEmpty {
        try Console.print("  \(specification.attributes.map(\.short).joined(separator: ", "))")
      }
      let backward = specification.hasBackward ? "with gradients" : "without gradients"
      try Console.print("  \(specification.cases.count) cases, \(backward)")
    }

    /// An operator with everything that is known about it.
    private static func showEverything(of specification: OperatorSpecification) throws {
      try Console.print("\(specification)")
      try Console.print("  \(specification.formula)")
      try Console.print("  \(specification.source)")
      try Console.print("  \(specification.hasBackward ? "with" : "without") gradients")
      try Console.print("\ninputs")
      for input in specification.inputs { try Console.print("  \(input)") }
      try Console.print("\noutputs")
      for output in specification.outputs { try Console.print("  \(output)") }
      if !specification.attributes.isEmpty {
        try Console.print("\nattributes")
        for attribute in specification.attributes { try Console.print("  \(attribute)") }
      }
      try Console.print("\ncases")
      try Table.print(
        specification.cases.map { operatorCase in
          let shapes =
            zip(operatorCase.inputNames, operatorCase.inputs).map { "\($0) \($1.shape)" }
            + zip(operatorCase.indexNames, operatorCase.indices).map { "\($0) \($1.shape)" }
          let attributes = operatorCase.attributes.map { "\($0.name)=\($0.value.text)" }
          return [operatorCase.name, (shapes + attributes).joined(separator: "  ")]
        })
    }
  }
}

extension OperatorSpecification.Attribute {
  /// `window`, or `stride=1` with its default.
  fileprivate var short: String {
    switch self.default {
    case nil: name
    case .numbers([])?, .spans([])?: "[\(name)]"
    case let value?: "\(name)=\(value.text)"
    }
  }
}

/// Arguments about operators.
enum OperatorArgument {
  /// The operator with a name.
  ///
  /// - Throws: `ValidationError` where there is none.
  static func specification(_ name: String) throws -> OperatorSpecification {
    guard let specification = OperatorCatalog.specification(of: name) else {
      throw ValidationError(
        "there is no operator \"\(printable(name, limit: 60))\"; `mvar golden list` shows all of them")
    }
    return specification
  }
}
