// The precisions that this package computes in: the only place of the benchmarks that knows how one is asked for.

import MVAR
import MVARTraining
import TensorCore

/// The precision that the command line names.
let precision = CommandLine.arguments.dropFirst(2).first ?? "float32"

/// The device of all tensors, in that precision; nil where this package has no such precision.
func makeDevice(_ precision: String) -> HostDevice? {
  WeightFormat(rawValue: precision).map { HostDevice(weights: $0) }
}

/// A step of training in a precision.
@MainActor func train(_ precision: String, _ segment: Int) throws -> () throws -> [Outcome] {
  switch precision {
  case "float32": try train(on: CPU<Float>.self, segment)
  case "bf16": try train(on: MixedCPU.self, segment)
  default: throw NotAvailable(precision)
  }
}

/// A precision that this package does not have for some work.
struct NotAvailable: Error, CustomStringConvertible {
  let description: String

  init(_ precision: String) { description = "this package does not do it in \(precision)" }
}
