// Kind `mvar`: teacher forcing, segment by segment: logits, loss and every gradient.

import Foundation
import MVAR
import TensorCore

/// One segment of an `mvar` file: [first token, end, windowed].
private struct GoldenSegment: Decodable {
  let begin: Int
  let end: Int
  let windowed: Bool

  init(from decoder: any Decoder) throws {
    var list = try decoder.unkeyedContainer()
    begin = try list.decode(Int.self)
    end = try list.decode(Int.self)
    windowed = try list.decode(Bool.self)
  }
}

/// Tokens of images with everything that teacher forcing needs, as stored in an `mvar` file.
struct ForcedBatch<B: Backend> {
  let labels: Indices<B>
  /// B·L tokens.
  let tokens: [Int]
  /// x_1 … x_(S−1) [B, L − 1, Z]
  let inputs: Tensor<B>

  init(_ file: GoldenFile, _ configuration: TransformerConfiguration, on device: B.Device) throws {
    labels = try file.loadIndices("labels", below: configuration.classes + 1, on: device)
    tokens = try file.tensor("tokens").integers()
    inputs = try file.load("mvar_input", on: device)
    let (batch, length) = (labels.shape.count, configuration.scaleList.length)
    guard tokens.count == batch * length, tokens.allSatisfy({ (0..<configuration.vocabulary).contains($0) }) else {
      throw GoldenError(file.path, "tokens do not fit the configuration")
    }
    guard inputs.shape == [batch, length - 1, configuration.codeWidth] else {
      throw GoldenError(file.path, "mvar_input has shape \(inputs.shape), which does not fit the configuration")
    }
  }

  /// Logits [B, N, V], loss and gradients of some scales.
  func pass(_ model: MarkovianTransformer<B>, _ scales: Range<Int>) throws -> (
    logits: Tensor<B>, loss: Double, gradients: Gradients<B>
  ) {
    let (device, length, batch) = (inputs.device, model.configuration.scaleList.length, labels.shape.count)
    let range = model.configuration.scaleList.tokens(of: scales)
    let tape = Tape<B>()
    let part = B.slice(inputs, axis: 1, model.trajectory.inputRows(of: scales))
    let logits = try model.logits(model.condition(labels: labels, tape: tape), inputs: Variable(part), scales: scales)
    let targets = try Indices<B>(
      (0..<batch).flatMap { tokens[$0 * length + range.lowerBound..<$0 * length + range.upperBound] },
      shape: [batch, range.count], on: device)
    let loss = logits.crossEntropy(targets: targets).sum(times: 1 / B.Scalar(length * batch))
    let value = try Double(loss.value.scalars()[0])
    return (logits.value, value, tape.gradients(of: loss, seed: Tensor(repeating: 1, shape: [1], on: device)))
  }
}

extension Verifier {
  func teacherForcing(_ file: GoldenFile, _ rows: inout RowCollector) throws {
    let model: MarkovianTransformer<B> = try file.transformer(on: device)
    let configuration = model.configuration
    let batch = try ForcedBatch<B>(file, configuration, on: device)
    let golden = try file.metadata("segments", as: [GoldenSegment].self)
    let losses = try file.metadata("losses", as: [Double].self)
    let norms = try file.norms(as: [String: [Double]].self)
    let segments = model.trajectory.segments
    rows.check("number of segments", segments.count == golden.count, "\(segments.count), golden \(golden.count)")
    if losses.count < segments.count {
      rows.notJudged("losses", "has \(losses.count) losses for \(segments.count) segments")
    }
    for (index, scales) in segments.enumerated() where index < golden.count && index < losses.count {
      let range = configuration.scaleList.tokens(of: scales)
      let windowed = model.trajectory.isWindowed(scales.lowerBound)
      let expected = golden[index]
      rows.check(
        "segment.\(index)",
        range.lowerBound == expected.begin && range.upperBound == expected.end && windowed == expected.windowed,
        "tokens \(range), windowed \(windowed)")
      let (logits, loss, gradients) = try batch.pass(model, scales)
      try self.logits(logits, "segment.\(index).logits", file, &rows)
      rows.number("segment.\(index).loss", loss, losses[index])
      try self.gradients(
        model.parameters.map {
          (CheckpointNames.key(of: $0.name, in: .transformer), gradients[$0], $0.value.shape.dimensions)
        },
        prefix: "segment.\(index).grad.", norms: norms?.compactMapValues { $0.count > index ? $0[index] : nil }, file,
        &rows)
    }
  }

  func logits(_ logits: Tensor<B>, _ name: String, _ file: GoldenFile, _ rows: inout RowCollector) throws {
    if let whole = file.checkpoint[name] {
      try rows.value(name, logits, whole)
    } else {
      guard let part = file.checkpoint["\(name).first128"] else {
        rows.notJudged(name, "has no tensor \(name)")
        return
      }
      let width = part.shape.last ?? 0
      guard (1...logits.shape[2]).contains(width) else {
        rows.notJudged("\(name).first128", "has shape \(part.shape)")
        return
      }
      try rows.value("\(name).first128", B.slice(logits, axis: 2, 0..<width), part)
    }
  }
}
