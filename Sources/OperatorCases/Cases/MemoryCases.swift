// What an engine does besides the operators of a model: norms of several tensors; memory that is filled, shared and
// borrowed; and work that is recorded and replayed.

import Foundation
import TensorCore

/// Σx² of one tensor and of several; inputs are the tensors.
package struct SumOfSquaresCase: OperatorCase {
  package let operatorName = "sumOfSquares"
  package let name: String
  package let inputs: [Values]
  package var inputNames: [String] { inputs.indices.map { "tensor\($0)" } }
  package let outputNames = ["first", "each"]

  package func apply<B: Backend>(_ x: OperatorInputs<B>) throws -> OperatorOutcome<B> {
    let each = try B.sumsOfSquares(x.tensors)
    return OperatorOutcome([
      try Tensor([B.Scalar(B.sumOfSquares(x[0]))], shape: [1], on: x.device),
      try Tensor(each.map { B.Scalar($0) }, shape: [each.count], on: x.device),
    ])
  }

  package var cost: OperatorCost {
    let count = inputs.reduce(0) { $0 + $1.shape.count }
    return OperatorCost(count: count, operations: (2, 0), forward: (count, inputs.count), backward: nil)
  }

  static var all: [any OperatorCase] {
    var random = RandomValues(seed: 36)
    return [[[1]], [[257], [3, 5, 7], [2, 0], [33]], [[70_000]]].map { (shapes: [Shape]) in
      SumOfSquaresCase(
        name: "sumOfSquares " + shapes.map(\.description).joined(separator: " "),
        inputs: shapes.map { random.normal($0) })
    }
  }
}

/// Memory that is filled, shared in part, and borrowed from the host; inputs x.
package struct MemoryCase: OperatorCase {
  package let operatorName = "memory"
  package let name: String
  package let inputs: [Values]
  package let inputNames = ["x"]
  package let outputNames = ["rows", "filled", "borrowed", "integers"]
  let range: Range<Int>
  package var attributes: [OperatorAttribute] { [OperatorAttribute("rows", .range(range))] }

  package func apply<B: Backend>(_ x: OperatorInputs<B>) throws -> OperatorOutcome<B> {
    let scalars = try x[0].scalars()
    let data = scalars.withUnsafeBytes { NSData(bytes: $0.baseAddress, length: $0.count) }
    let region = HostRegion(owner: data, start: data.bytes, byteCount: data.count)
    let integers = try Indices<B>(Array(range), shape: [range.count], on: x.device)
    return OperatorOutcome([
      x[0].rows(range), Tensor(repeating: -1.5, shape: [7], on: x[0].device),
      Tensor(shape: x[0].shape, storage: try B.makeStorage(borrowing: region, on: x.device)),
      try Tensor(try integers.values().map { B.Scalar($0) }, shape: [range.count], on: x.device),
    ])
  }

  package var cost: OperatorCost {
    let count = inputs[0].shape.count
    return OperatorCost(count: 0, operations: (0, 0), forward: (count, count + 7 + range.count), backward: nil)
  }

  static var all: [any OperatorCase] {
    var random = RandomValues(seed: 37)
    return [([3, 5], 1..<3), ([4, 7, 3], 2..<2), ([33], 0..<33)].map { (shape: Shape, range: Range<Int>) in
      MemoryCase(name: "memory \(shape), rows \(range)", inputs: [random.normal(shape)], range: range)
    }
  }
}

/// Work that is run three times, recorded where the engine records; inputs are its operands.
package struct RecordingCase: OperatorCase {
  package let operatorName = "recording"
  package let name: String
  package let inputs: [Values]
  package var inputNames: [String] { inputs.indices.map { "input \($0)" } }
  package var outputNames: [String] { inputs.indices.map { "run \($0)" } }

  package func apply<B: Backend>(_ x: OperatorInputs<B>) throws -> OperatorOutcome<B> {
    let recording = Recording<B, Tensor<B>>(B.makeRecorder(on: x.device))
    // A recording's results lie in memory that the next run overwrites.
    return OperatorOutcome(
      try x.tensors.map { input in
        let output = recording(input) { B.silu(B.multiply($0, by: -1.5)) }
        return try Tensor(output.scalars(), shape: output.shape, on: x.device)
      })
  }

  package var cost: OperatorCost {
    let count = inputs.reduce(0) { $0 + $1.shape.count }
    return OperatorCost(count: count, operations: (5, 0), forward: (count, count), backward: nil)
  }

  static var all: [any OperatorCase] {
    var random = RandomValues(seed: 38)
    return [RecordingCase(name: "recording, four runs", inputs: (0..<4).map { _ in random.normal([3, 17]) })]
  }
}
