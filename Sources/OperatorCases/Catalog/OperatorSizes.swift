// What the symbols of an operator's shapes stand for, found by matching actual shapes with symbolic ones.

import TensorCore

/// The lengths of symbolic sides.
package struct OperatorSizes: Sendable {
  /// The length of every symbol that is known.
  package private(set) var sides: [String: Int]
  /// The sides that `...` stands for; nil if not known.
  package private(set) var leading: [Int]?

  /// Sizes of which only these are known.
  package init(_ sides: [String: Int]) { self.sides = sides }

  /// The length of a symbol that an input of the operator has.
  package subscript(symbol: String) -> Int { sides[symbol] ?? 0 }

  /// Gives symbols that are not known yet a length.
  mutating func fill(_ symbolic: [String], from lengths: [String: Int], leading: [Int]) {
    for side in symbolic {
      if side == "..." {
        self.leading = self.leading ?? leading
      } else {
        for symbol in SymbolicSide(side).symbols where sides[symbol] == nil { sides[symbol] = lengths[symbol] ?? 4 }
      }
    }
  }

  /// States the length of a side of the outputs that is computed from others.
  package mutating func define(_ symbol: String, _ length: Int) { sides[symbol] = length }

  /// Matches a shape with a symbolic one, and remembers what its symbols stand for.
  ///
  /// - Throws: `OperatorCaseError` where they do not fit.
  package mutating func match(_ name: String, _ shape: [Int], _ symbolic: [String]) throws {
    guard shape.allSatisfy({ $0 > 0 }) else { throw OperatorCaseError("\(name) has shape \(shape); no side may be 0") }
    let before = self
    let fixed = symbolic.filter { $0 != "..." }
    let place = symbolic.firstIndex(of: "...")
    let extra = shape.count - fixed.count
    guard extra == 0 || (extra > 0 && place != nil) else { throw before.mismatch(name, shape, symbolic) }
    if let place {
      let middle = Array(shape[place..<place + extra])
      guard leading == nil || leading == middle else { throw before.mismatch(name, shape, symbolic) }
      leading = middle
    }
    let start = place ?? shape.count
    for (side, length) in zip(fixed, shape[..<start] + shape[(start + max(extra, 0))...]) {
      guard bind(SymbolicSide(side), length) else { throw before.mismatch(name, shape, symbolic) }
    }
  }

  /// Solves factor·a·b = length for the symbol that is not known; false if that is impossible.
  private mutating func bind(_ side: SymbolicSide, _ length: Int) -> Bool {
    let unknown = side.symbols.filter { sides[$0] == nil }
    guard let known = side.product(sides.merging(unknown.map { ($0, 1) }) { old, _ in old }) else { return false }
    guard let symbol = unknown.first else { return known == length }
    guard unknown.count == 1, known > 0, length % known == 0 else { return false }
    sides[symbol] = length / known
    return true
  }

  /// The shape that a symbolic one stands for; nil where it has more elements than can be counted.
  package func shape(_ symbolic: [String]) -> [Int]? {
    var shape: [Int] = []
    for side in symbolic {
      if side == "..." {
        shape += leading ?? []
      } else {
        guard let length = SymbolicSide(side).product(sides) else { return nil }
        shape.append(length)
      }
    }
    return shape
  }

  /// `weight has shape [7, 5], not [O, I] with I = 12`
  private func mismatch(_ name: String, _ shape: [Int], _ symbolic: [String]) -> OperatorCaseError {
    var known: [String] = []
    for side in symbolic {
      if side == "..." {
        if let leading { known.append("... = \(leading.map { "\($0)" }.joined(separator: ", "))") }
      } else {
        for symbol in SymbolicSide(side).symbols {
          if let length = sides[symbol] { known.append("\(symbol) = \(length)") }
        }
      }
    }
    let values = known.isEmpty ? "" : " with " + known.joined(separator: ", ")
    return OperatorCaseError("\(name) has shape \(shape), not [\(symbolic.joined(separator: ", "))]\(values)")
  }
}

/// One symbolic side: a product of a number and symbols.
private struct SymbolicSide {
  private(set) var factor = 1
  private(set) var symbols: [String] = []

  init(_ text: String) {
    for part in text.split(separator: "·") {
      if let number = Int(part) { factor *= number } else { symbols.append(String(part)) }
    }
  }

  /// The length for these lengths of symbols; nil for an unknown symbol or a number that does not fit.
  func product(_ sides: [String: Int]) -> Int? {
    var product = factor
    for symbol in symbols {
      guard let length = sides[symbol] else { return nil }
      let (next, overflow) = product.multipliedReportingOverflow(by: length)
      if overflow { return nil }
      product = next
    }
    return product
  }
}
