// The precisions that this package computes in: the only place of the benchmarks that knows how one is asked for.

import MVAR
import MVARTraining
import TensorCore

/// The precision that the command line names.
let precision = CommandLine.arguments.dropFirst(2).first ?? "float32"

/// The device of all tensors, in that precision; nil where this package has no such precision.
func makeDevice(_ precision: String) -> HostDevice? {
  precision == "float32" ? HostDevice() : nil
}

/// A step of training in a precision.
@MainActor func train(_ precision: String, _ segment: Int) throws -> () throws -> [Outcome] {
  guard precision == "float32" else { throw NotAvailable(precision) }
  return try train(on: CPU<Float>.self, segment)
}

/// A precision that this package does not have for some work.
struct NotAvailable: Error, CustomStringConvertible {
  let description: String

  init(_ precision: String) { description = "this package does not do it in \(precision)" }
}
