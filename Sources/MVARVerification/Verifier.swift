// Runs a golden file's case on an engine. The file's `kind` specifies what to run; weights are computed from their
// names.

import MVAR
import MVARCheckpoints
import TensorCore

/// The rows of one file.
public struct VerificationReport: Sendable {
  /// The file.
  public let path: String
  /// What was run.
  public let kind: String
  /// One row per tensor.
  public let rows: [VerificationRow]

  /// How many rows passed.
  public var passed: Int { rows.count { $0.outcome == .passed } }
  /// How many rows failed.
  public var failed: Int { rows.count { $0.outcome == .failed } }
  /// How many parts were not checked.
  public var notChecked: Int { rows.count - passed - failed }
  /// Whether something that the file contains could not be judged.
  public var hasUnjudged: Bool {
    rows.contains { if case .notChecked = $0.outcome { true } else { false } }
  }
}

/// Compares an engine with golden values.
public struct Verifier<B: Backend> where B.Device: Sendable {
  /// The device of the engine.
  public let device: B.Device
  /// The folder of the photographs that `vqvae-photo` files name; nil for the one next to the golden files.
  public let photos: String?

  /// A verifier.
  public init(on device: B.Device, photos: String? = nil) {
    self.device = device
    self.photos = photos
  }

  /// Runs one file.
  ///
  /// - Throws: when the file cannot be read or does not match its kind; a wrong value is a failed row.
  public func verify(_ path: String) throws -> VerificationReport {
    if path.hasSuffix(".json") {
      return try verifyJSON(path)
    }
    let file = try GoldenFile(path: path)
    var rows = RowCollector()
    switch file.kind {
    case "ops": return VerificationReport(path: path, kind: file.kind, rows: try operators(file))
    case "vqvae": try tokenizer(file, &rows)
    case "vqvae-photo": try photograph(file, &rows)
    case "mvar": try teacherForcing(file, &rows)
    case "sample": try sampling(file, &rows)
    case "filter": try filter(file, &rows)
    case "train": try optimizerSteps(file, &rows)
    case "var": try baseline(file, &rows)
    default: throw GoldenError(path, "is of kind \(file.kind), which this version does not know")
    }
    return VerificationReport(path: path, kind: file.kind, rows: rows.rows)
  }

  /// The gradients of all parameters against a file's norms and stored parts, as far as the file contains them.
  func gradients(
    _ parameters: [(key: String, gradient: Tensor<B>?, shape: [Int])], prefix: String, norms: [String: Double]?,
    _ file: GoldenFile, _ rows: inout RowCollector
  ) throws {
    let stored = parameters.contains {
      file.checkpoint[prefix + $0.key] != nil || file.checkpoint[prefix + $0.key + ".head"] != nil
    }
    guard norms != nil || stored else {
      rows.notInFile("\(prefix)*")
      return
    }
    for (key, gradient, shape) in parameters {
      let values =
        try gradient?.scalars().map(Double.init) ?? [Double](repeating: 0, count: shape.reduce(1, *))
      if let norms {
        guard let norm = norms[key] else {
          rows.check("\(prefix)\(key)", false, "the file has no such gradient")
          continue
        }
        rows.norm("|\(prefix)\(key)|", values.reduce(0) { $0 + $1 * $1 }.squareRoot(), norm)
      }
      if let whole = file.checkpoint[prefix + key] { rows.gradient(prefix + key, values, shape, whole) }
      if let head = file.checkpoint["\(prefix)\(key).head"] {
        rows.gradient(prefix + key, values, shape, head, isPart: true, norm: norms?[key])
      }
    }
    if let norms {
      rows.check(
        "\(prefix)names", Set(norms.keys) == Set(parameters.map(\.key)), "the model's parameters are those of the file")
    }
  }
}
