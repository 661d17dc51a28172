// Attention within a window, forward and backward, on an engine of plain loops in double precision and on the fast one in
// single precision. Both are the same generic function; only the numbers are compared.

import MVAR
import MVARComparison
import OperatorCases
import TensorCore

/// The output and the gradients of queries, keys and values, of random maps and a random gradient of the output.
public func windowedAttention<B: Backend>(on engine: B.Type, device: B.Device) throws -> [Values] {
  let shape: Shape = [2, 5, 7, 3, 8]  // [B, h, w, H, c]
  var random = RandomValues(seed: 11)
  let parameters = try ["queries", "keys", "values"].map {
    Parameter(name: $0, value: try random.normal(shape).tensor(engine, on: device))
  }
  let dOutput = try random.normal(shape).tensor(engine, on: device)

  let tape = Tape<B>()
  let parts = parameters.map { $0.variable(tape) }
  let output = VariableHeads(queries: parts[0], keys: parts[1], values: parts[2])
    .neighborhoodAttention(window: 3, softmaxScale: 0.25)
  let gradients = tape.gradients(of: output, seed: dOutput)
  let named = gradients.named(parameters).entries.compactMap(\.gradient)
  return try ([output.value] + named).map { try Values($0) }
}

/// How far `CPU<Float>` is from `Reference<Double>`: a line for the output and for each gradient.
public func comparedWindowedAttention() throws -> [Comparison] {
  let exact = try windowedAttention(on: Reference<Double>.self, device: HostDevice())
  let fast = try windowedAttention(on: CPU<Float>.self, device: HostDevice())
  let names = ["output", "gradient of queries", "gradient of keys", "gradient of values"]
  return zip(names, zip(fast, exact)).map { name, pair in
    Comparator.values(
      name, found: pair.0, expected: pair.1,
      bar: Bar(absolute: 1e-5 * pair.1.largest, "a hundred roundings of single precision, of the largest value"))
  }
}
