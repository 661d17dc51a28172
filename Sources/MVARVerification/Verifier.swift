// Runs a golden file's case on an engine. The file's `kind` specifies what to run; weights are computed from their
// names.

import MVAR
import MVARCheckpoints
import MVARComparison
import TensorCore

/// Compares an engine with golden values.
public struct Verifier<B: Backend> where B.Device: Sendable {
  /// The device of the engine.
  public let device: B.Device
  /// The folder of the photographs that `vqvae-photo` files name; nil for the one next to the golden files.
  public let photos: String?
  /// Limits in the place of the bars' own.
  public let limits: BarOverride

  /// A verifier.
  public init(on device: B.Device, photos: String? = nil, limits: BarOverride = BarOverride()) {
    self.device = device
    self.photos = photos
    self.limits = limits
  }

  /// Runs one file.
  ///
  /// - Throws: when the file cannot be read or does not match its kind; a wrong value is a failed row.
  public func verify(_ path: String) throws -> ComparisonReport {
    if path.hasSuffix(".json") {
      return try verifyJSON(path)
    }
    let file = try GoldenFile(path: path)
    var rows = RowCollector(limits)
    switch file.kind {
    case "ops": try operators(file, &rows)
    case "vqvae": try tokenizer(file, &rows)
    case "vqvae-photo": try photograph(file, &rows)
    case "mvar": try teacherForcing(file, &rows)
    case "sample": try sampling(file, &rows)
    case "filter": try filter(file, &rows)
    case "train": try optimizerSteps(file, &rows)
    case "var": try baseline(file, &rows)
    case "inception": try inception(file, &rows)
    case "metrics": try metrics(file, &rows)
    case "dump": throw GoldenError(path, "is a dump of a model at work; compare it with another one by golden diff")
    default: throw GoldenError(path, "is of kind \(file.kind), which this version does not know")
    }
    for name in file.checkpoint.unused { rows.notJudged(name, GoldenFile.strayTensor(file.kind)) }
    return ComparisonReport(subject: path, kind: file.kind, rows: rows.rows)
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
        try gradient.map { try ComparedValues($0) }
        ?? ComparedValues([Double](repeating: 0, count: shape.reduce(1, *)), shape: shape)
      if let norms {
        guard let norm = norms[key] else {
          rows.check("\(prefix)\(key)", false, "the file has no such gradient")
          continue
        }
        rows.norm("|\(prefix)\(key)|", values.numbers.reduce(0) { $0 + $1 * $1 }.squareRoot(), norm)
      }
      let (whole, head) = (file.checkpoint[prefix + key], file.checkpoint["\(prefix)\(key).head"])
      if let whole { rows.gradient(prefix + key, values, whole) }
      if let head { rows.gradient("\(prefix)\(key).head", values, head, isPart: true, norm: norms?[key]) }
      // Every gradient is judged by its norm or by its elements; where neither is there, others are.
      if norms == nil, whole == nil, head == nil {
        rows.notJudged(prefix + key, "has neither this gradient nor its norm, but others")
      }
    }
    if let norms {
      rows.check(
        "\(prefix)names", Set(norms.keys) == Set(parameters.map(\.key)), "the model's parameters are those of the file")
    }
  }
}
