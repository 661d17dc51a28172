// `mvar golden make`: golden files of operators, of any size and type, or of all cases of the registry; and of models.

import ArgumentParser
import Foundation
import MVARFiles
import MVARVerification
import OperatorCases
import TensorCore

extension KernelPrecision: ExpressibleByArgument {}

extension Golden {
  struct Make: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Write golden files of operators or models: inputs, results in double precision, gradients, bars.",
      discussion: """
        Either random inputs for one operator, in shapes of your choice, or the cases of the registry, which are chosen \
        to be difficult. The inputs are rounded to the type first; everything else is computed from them in double \
        precision. The same command gives the same bytes.

          mvar golden make -o cases.safetensors --all-cases --dtype bfloat16
          mvar golden make -o attention.safetensors --operator neighborhoodAttention \
        --shape queries=1,32,32,4,64 --attribute window=7 --attribute softmaxScale=0.125
          mvar golden make -o norm.npz --operator layerNorm --shape x=64,1000 --count 5

        Or a whole model of any size, whose weights follow from the seed:

          mvar golden make -o small.mvar.safetensors --model mvar --depth 4 --width 128 --seed 1
        """)

    @Option(name: [.short, .long], parsing: .unconditional, help: "The file to write (.safetensors or .npz).")
    var output: String

    @OptionGroup(title: "Operators")
    var operators: MakeOperatorOptions

    @OptionGroup(title: "Models")
    var models: ModelFileOptions

    func validate() throws {
      guard operators.isWanted != models.isWanted else {
        throw ValidationError(
          operators.isWanted
            ? "a file holds operators or models, not both" : "use --operator, --all-cases, --model or --like")
      }
      if models.isWanted, let option = operators.detail {
        throw ValidationError("\(option) is for operators, and the file is to hold models")
      }
      guard models.like == nil || operators.seed == nil else {
        throw ValidationError("--like takes the seed of the file; --seed cannot change it")
      }
    }

    func run() throws {
      if models.isWanted { return try models.run(seed: operators.seed ?? 0, output: output) }
      try OutputFile.check(output, endings: [".safetensors", ".npz"], keeping: [])
      try operators.write(to: output)
    }
  }
}

/// What to make of operators.
struct MakeOperatorOptions: ParsableArguments {
  @Option(
    name: .customLong("operator"), parsing: .unconditional,
    help: "The operator (see mvar golden list); with --all-cases, only its cases.")
  var operatorName: String?

  @Flag(help: "Every case of the registry.")
  var allCases = false

  @Option(parsing: .unconditional, help: "With --all-cases, leave out cases whose inputs have more elements.")
  var largest: Int?

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "The shape of an input, as queries=1,32,32,4,64.",
      discussion: "May be repeated; the shapes of other inputs follow, and what remains open is small.",
      valueName: "input=sides"))
  var shape: [String] = []

  @Option(
    parsing: .unconditionalSingleValue, help: ArgumentHelp("An optional input that is left out.", valueName: "input"))
  var without: [String] = []

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "An attribute, as window=7; may be repeated.",
      discussion: "Lists are written as 0.9,0.95, ranges as 1,3, spans as 0,1,0,1;1,5,1,5.", valueName: "name=value"))
  var attribute: [String] = []

  @Option(
    parsing: .unconditional,
    help: "What a kernel receives and returns: float64, float32, tf32, bfloat16 or float16.")
  var dtype = KernelPrecision.float32

  @Option(parsing: .unconditional, help: "The seed of the inputs (default: 0).", transform: Arguments.seed)
  var seed: UInt64?

  @Option(parsing: .unconditional, help: "How many cases; each has the next seed (default: 1).")
  var count: Int?

  /// Whether a file of operators is wanted, and not one of models.
  var isWanted: Bool { operatorName != nil || allCases }

  /// An option that only operators have, if one is given.
  var detail: String? {
    let details = [
      ("--shape", !shape.isEmpty), ("--without", !without.isEmpty), ("--attribute", !attribute.isEmpty),
      ("--count", count != nil), ("--dtype", dtype != .float32), ("--largest", largest != nil),
    ]
    return details.first { $0.1 }?.0
  }

  func validate() throws {
    if let operatorName { _ = try OperatorArgument.specification(operatorName) }
    try Arguments.check("--count", count, in: 1...10_000)
    try Arguments.checkPositive("--largest", largest)
    guard largest == nil || allCases else { throw ValidationError("--largest is for --all-cases") }
    let others = [
      ("--shape", !shape.isEmpty), ("--without", !without.isEmpty), ("--attribute", !attribute.isEmpty),
      ("--seed", seed != nil), ("--count", count != nil),
    ]
    if allCases, let (option, _) = others.first(where: { $0.1 }) {
      throw ValidationError("\(option) is for random inputs, and --all-cases has none")
    }
    _ = (try shapes(), try attributes())
  }

  /// Computes the cases and writes them.
  func write(to path: String) throws {
    var writer = GoldenOperatorWriter(dtype, producer: "mvar \(Version.current)", seed: allCases ? nil : seed ?? 0)
    let progress = Progress()
    for make in try cases() {
      let operatorCase = try make()
      progress.report("computing \(operatorCase.name)")
      try writer.add(operatorCase)
    }
    progress.finish()
    for (name, reason) in writer.leftOut { Console.note("left out: \(name): \(reason)") }
    guard writer.count > 0 else { throw Failure("\(path): is not written, since no case is left") }
    try writer.write(to: path)
    try Console.print("\(path): \(writer.count) case\(writer.count == 1 ? "" : "s"), \(dtype.rawValue)")
  }

  /// What makes each case.
  private func cases() throws -> [() throws -> any OperatorCase] {
    if allCases {
      let wanted = operatorName.map { [$0] } ?? OperatorCatalog.all.map(\.name)
      return OperatorCases.all.filter { one in
        wanted.contains(one.operatorName) && one.inputs.reduce(0) { $0 + $1.shape.count } <= largest ?? .max
      }.map { one in { one } }
    }
    let (name, shapes, attributes) = (operatorName ?? "", try shapes(), try attributes())
    return (0..<UInt64(count ?? 1)).map { number in
      {
        do {
          return try OperatorCatalog.randomCase(
            operator: name, shapes: shapes, leavingOut: Set(without), attributes: attributes,
            seed: (seed ?? 0) &+ number)
        } catch let error as OperatorCaseError {
          throw Failure("\(name): \(error)")
        }
      }
    }
  }

  private func shapes() throws -> [String: Shape] {
    var shapes: [String: Shape] = [:]
    for text in shape {
      let (name, value) = try Self.parts(text, "--shape", example: "x=2,3,4")
      let sides = value.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
      guard sides.allSatisfy({ (0...1 << 28).contains($0 ?? -1) }), sides.count <= 16 else {
        throw ValidationError("--shape is \"\(printable(text, limit: 60))\"; write sides such as x=2,3,4")
      }
      let dimensions = sides.compactMap { $0 }
      guard OperatorCatalog.isSmallEnough(dimensions) else {
        throw ValidationError(
          "--shape \(printable(text, limit: 60)): is larger than \(OperatorCatalog.mostElements) elements")
      }
      guard shapes.updateValue(Shape(dimensions), forKey: name) == nil else {
        throw ValidationError("--shape gives \(printable(name, limit: 60)) twice")
      }
    }
    return shapes
  }

  private func attributes() throws -> [OperatorAttribute] {
    guard let operatorName, !attribute.isEmpty else { return [] }
    let specification = try OperatorArgument.specification(operatorName)
    return try attribute.map { text in
      let (name, value) = try Self.parts(text, "--attribute", example: "window=7")
      guard let type = specification.attributes.first(where: { $0.name == name })?.type else {
        throw ValidationError("--attribute: \(operatorName) has no attribute \"\(printable(name, limit: 60))\"")
      }
      do {
        return OperatorAttribute(name, try type.value(of: value, named: name))
      } catch {
        throw ValidationError("--attribute: \(error)")
      }
    }
  }

  /// `name=value`
  private static func parts(_ text: String, _ option: String, example: String) throws -> (String, String) {
    guard let equals = text.firstIndex(of: "="), equals != text.startIndex else {
      throw ValidationError("\(option) is \"\(printable(text, limit: 60))\"; write something such as \(example)")
    }
    return (String(text[..<equals]), String(text[text.index(after: equals)...]))
  }
}
