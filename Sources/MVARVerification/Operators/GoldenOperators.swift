// The operators of a golden file as cases of the catalog: the same code interprets them for `mvar golden check`, for
// the tests and for the check of GPUs, with the same tolerance. A case whose shapes or attributes do not fit cannot be
// judged, and affects no other one.

import MVARCheckpoints
import MVARComparison
import MVARFiles
import OperatorCases
import TensorCore

/// Why a case of a golden file cannot be judged.
package struct GoldenOperatorError: Error, CustomStringConvertible {
  /// One sentence without a full stop, and without the file.
  package let description: String

  init(_ description: String) { self.description = description }

  /// Throws unless an expected tensor has the shape that follows from the inputs.
  static func require(_ name: String, _ found: [Int], _ shape: Shape, isGradient: Bool) throws {
    guard Shape(found) == shape else {
      throw Self("\(name) has shape \(found), and the \(isGradient ? "input has" : "operator returns") \(shape)")
    }
  }
}

/// The operators of a golden file, of either format.
package struct GoldenOperators {
  /// What kernels under test receive and return; nil for a file of format 1, whose values are in single precision.
  package let precision: KernelPrecision?
  private let file: GoldenFile
  private let descriptions: [String: JSONValue]
  private let bars: MetadataBars
  /// The tensors of each case, without its name.
  private let tensors: [String: [String]]

  /// Opens a file.
  ///
  /// - Throws: `GoldenError` or `FileError` if it is no golden file of operators.
  package init(path: String) throws {
    let file = try GoldenFile(path: path)
    guard file.kind == "ops" else { throw GoldenError(path, "is of kind \(file.kind), not a file of operators") }
    try self.init(file)
  }

  init(_ file: GoldenFile) throws {
    self.file = file
    descriptions = try file.metadata("ops", as: [String: JSONValue].self)
    precision = try Self.precision(of: file)
    bars = precision == nil ? MetadataBars() : try MetadataBars(file.checkpoint.metadata, of: file.path)
    var tensors: [String: [String]] = [:]
    for (name, _) in file.checkpoint.tensors {
      if let (owner, part) = Self.owner(of: name, among: descriptions) { tensors[owner, default: []].append(part) }
    }
    self.tensors = tensors
  }

  /// The case that a tensor belongs to, and its name there. Names of cases may contain dots: the longest one counts after
  /// which follows what a case may hold.
  private static func owner(of tensor: String, among cases: [String: JSONValue]) -> (name: String, part: String)? {
    for dot in tensor.indices.reversed() where tensor[dot] == "." {
      let (name, part) = (String(tensor[..<dot]), String(tensor[tensor.index(after: dot)...]))
      let isPart =
        ["out", "grad_out"].contains(part) || ["in.", "out.", "grad_out.", "grad."].contains(where: part.hasPrefix)
      if isPart, cases[name] != nil { return (name, part) }
    }
    return nil
  }

  /// The tensors that belong to no case, or that the operator of their case does not have, once all cases were read.
  package var unusedTensors: [String] { file.checkpoint.unused }

  /// Says that the tensors of a case need no rows of their own.
  package func skip(_ name: String) { for part in tensors[name] ?? [] { _ = file.checkpoint["\(name).\(part)"] } }

  private static func precision(of file: GoldenFile) throws -> KernelPrecision? {
    guard let format = file.checkpoint.metadata["format"], format != "1" else { return nil }
    guard format == "2" else {
      throw GoldenError(file.path, "is of format \(format), which this version does not know")
    }
    let dtype = file.checkpoint.metadata["dtype"] ?? "none"
    guard let precision = KernelPrecision(rawValue: dtype) else {
      let known = KernelPrecision.allCases.map(\.rawValue).joined(separator: ", ")
      throw GoldenError(file.path, "its `dtype` is \(dtype), not one of \(known)")
    }
    return precision
  }

  /// Whether a path names a file of operators that only double precision can pass.
  package static func needDoublePrecision(_ path: String) -> Bool {
    guard path.hasSuffix(".safetensors") || path.hasSuffix(".npz") else { return false }
    return (try? GoldenOperators(path: path))?.precision == .float64
  }

  /// The names of the cases in the file.
  package var names: [String] { descriptions.keys.sorted() }

  /// The operator of a case of format 2; nil where the file does not say it.
  package func operatorName(of name: String) -> String? { descriptions[name]?.object?["operator"]?.string }

  /// A case of the file.
  ///
  /// - Throws: `GoldenOperatorError`, `OperatorCaseError`, or what the file throws, when the case cannot be judged.
  package subscript(name: String) -> GoldenOperator {
    get throws {
      guard let description = descriptions[name] else { throw GoldenOperatorError("the file has no case \(name)") }
      guard let precision else { return .authors(try AuthorsCase(name, description, file)) }
      return .computed(
        try GoldenCase(name, description, tensors: tensors[name] ?? [], precision, bars, file))
    }
  }

  /// What is wrong with a case, without the file's name.
  package func reason(_ error: any Error) -> String { file.reason(error) }
}

/// An operator of a golden file: its inputs, and the results that are right.
package enum GoldenOperator {
  /// Of format 1, with the results of PyTorch.
  case authors(AuthorsCase)
  /// Of format 2, with results in double precision.
  case computed(GoldenCase)

  /// The operator with the inputs of the file.
  package var operatorCase: any OperatorCase {
    switch self {
    case .authors(let golden): golden.operatorCase
    case .computed(let golden): golden.operatorCase
    }
  }

  /// Runs an engine forward and backward, and judges the outputs and then every gradient.
  ///
  /// A gradient that the file need not contain has a row that says so; what it lacks beside others, or what cannot be
  /// read, is not judged.
  ///
  /// - Parameters:
  ///   - precision: what the engine computes in, for files that state no bars; by default that of its number type.
  ///   - limits: limits in the place of the bars' own.
  /// - Throws: what the engine throws when a transfer fails.
  package func compare<B: Backend>(
    on engine: B.Type, device: B.Device, precision: ComputedPrecision? = nil, limits: BarOverride = BarOverride()
  ) throws -> [Comparison] {
    switch self {
    case .authors(let golden):
      let results = try golden.operatorCase.run(
        on: engine, device: device, cotangents: golden.cotangent.map { [$0] })
      return golden.rows(results, precision ?? ComputedPrecision.of(engine), limits: limits)
    case .computed(let golden):
      let cotangents = golden.cotangents.isEmpty ? nil : golden.cotangents
      return golden.rows(
        try golden.operatorCase.run(on: engine, device: device, cotangents: cotangents), limits: limits)
    }
  }
}

extension GoldenFile {
  /// The values of a tensor, rounded to single precision.
  func values(_ name: String) throws -> Values {
    let stored = try tensor(name)
    return Values(try stored.doubles(), shape: Shape(stored.shape))
  }

  /// What is wrong, without the file's name, which a row does not repeat.
  func reason(_ error: any Error) -> String {
    if let error = error as? FileError { return error.reason }
    let text = "\(error)"
    return text.hasPrefix("\(path): ") ? String(text.dropFirst(path.count + 2)) : text
  }
}
