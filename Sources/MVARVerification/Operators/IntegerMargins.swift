// How close the second candidate was: between two tokens whose boundary is at the random number, or two codes at almost
// the same distance, rounding may decide. Codes at exactly the same distance are no such case: the first one wins.

import Foundation
import MVARComparison
import OperatorCases
import TensorCore

/// The margins of an operator that returns integers, in double precision.
struct IntegerMargins {
  private let operatorCase: any OperatorCase
  /// How many roundings explain a difference, as a part of the size of what is compared.
  private let rounding: Double

  /// The margins of a case; nil where the operator has none.
  init?(_ operatorCase: any OperatorCase, _ precision: KernelPrecision) {
    guard ["sampleTokens", "nearestCode"].contains(operatorCase.operatorName) else { return nil }
    self.operatorCase = operatorCase
    rounding = precision == .float64 ? 0x1p-49 : 0x1p-20
  }

  /// How close two candidates are; nil where nothing excuses the wrong one.
  func margin(at place: Int, found: Int, expected: Int) -> Margin? {
    operatorCase.operatorName == "sampleTokens"
      ? boundary(at: place, found, expected) : distance(at: place, found, expected)
  }

  /// How far the random number is from the nearest one that would have given the token found.
  private func boundary(at place: Int, _ found: Int, _ expected: Int) -> Margin? {
    let logits = operatorCase.inputs[0]
    let (positions, width) = (logits.shape[1], logits.shape[2])
    let row = logits.numbers[place * width..<(place + 1) * width]
    guard (0..<width).contains(found), (0..<width).contains(expected), row[row.startIndex + found] > -.infinity else {
      return nil
    }
    let largest = row.max() ?? 0
    let weights = row.map { exp($0 - largest) }
    let total = weights.reduce(0, +)
    let attributes = operatorCase.attributes
    let stream = RandomStream(
      seed: UInt64(attributes.integer("seed")), stream: UInt64(place / positions))
    let uniform = stream.uniform(attributes.integer("firstPosition") + place % positions, purpose: .token)
    let end = weights[...(found < expected ? found : found - 1)].reduce(0, +) / total
    return Margin(
      abs(uniform - end), limit: rounding, meaning: "distance of the random number from the boundary of the tokens")
  }

  /// The difference of the two distances.
  private func distance(at place: Int, _ found: Int, _ expected: Int) -> Margin? {
    let (vectors, codebook) = (operatorCase.inputs[0], operatorCase.inputs[1])
    let (codes, width) = (codebook.shape[0], codebook.shape[1])
    guard (0..<codes).contains(found), (0..<codes).contains(expected) else { return nil }
    let z = vectors.numbers[place * width..<(place + 1) * width]
    func code(_ index: Int) -> ArraySlice<Double> { codebook.numbers[index * width..<(index + 1) * width] }
    func product(_ x: ArraySlice<Double>, _ y: ArraySlice<Double>) -> Double {
      zip(x, y).reduce(0) { $0 + $1.0 * $1.1 }
    }
    func length(_ x: ArraySlice<Double>) -> Double { max(product(x, x).squareRoot(), 1e-12) }
    let isCosine = operatorCase.attributes.contains { $0.value == .choice("cosine") }
    func distance(_ e: ArraySlice<Double>) -> Double {
      isCosine ? -product(z, e) / (length(z) * length(e)) : product(z, z) + product(e, e) - 2 * product(z, e)
    }
    let difference = abs(distance(code(found)) - distance(code(expected)))
    let size = isCosine ? 1 : product(z, z) + product(code(expected), code(expected))
    guard difference > 0 else { return nil }
    return Margin(
      difference, limit: rounding * size,
      meaning: isCosine ? "difference of the cosines" : "difference of the squared distances")
  }
}

extension [OperatorAttribute] {
  /// The value of an integer attribute that is there.
  fileprivate func integer(_ name: String) -> Int {
    for case .integer(let value) in filter({ $0.name == name }).map(\.value) { return value }
    return 0
  }
}
