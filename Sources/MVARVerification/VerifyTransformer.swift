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
