// A golden file in memory, for changing it: values, shapes, types, names, order and metadata.

import Foundation
import MVARCheckpoints
import MVARTestSupport

/// A copy of a golden file.
struct GoldenCopy {
  var tensors: [(name: String, tensor: StoredTensor)]
  var metadata: [String: String]

  /// A copy of `Fixtures/golden/<name>`.
  init(_ name: String) throws {
    let checkpoint = try Checkpoint.open(Fixtures.path("golden/\(name)"))
    (tensors, metadata) = (checkpoint.tensors, checkpoint.metadata)
  }

  func write(to path: String) throws { try SafetensorsWriter.write(tensors, metadata: metadata, to: path) }

  /// The values of a tensor.
  func values(_ name: String) throws -> [Double] { try tensor(name).doubles() }

  func tensor(_ name: String) throws -> StoredTensor {
    guard let found = tensors.first(where: { $0.name == name }) else { throw Absent(name: name) }
    return found.tensor
  }

  struct Absent: Error { let name: String }

  /// Replaces a tensor, or adds one.
  mutating func set(_ name: String, _ tensor: StoredTensor) {
    if let place = tensors.firstIndex(where: { $0.name == name }) {
      tensors[place].tensor = tensor
    } else {
      tensors.append((name, tensor))
    }
  }

  mutating func remove(_ name: String) { tensors.removeAll { $0.name == name } }

  /// Changes values; the type and the shape stay.
  mutating func change(_ name: String, _ body: (inout [Double], [Int]) throws -> Void) throws {
    let old = try tensor(name)
    var values = try old.doubles()
    try body(&values, old.shape)
    set(
      name,
      old.scalarType.isFloatingPoint
        ? try StoredTensor(values.map { Float($0) }, shape: old.shape)
        : try StoredTensor(values.map { Int($0) }, shape: old.shape))
  }

  /// Replaces text in the metadata, once.
  mutating func replace(_ old: String, _ new: String, in key: String) throws {
    guard let text = metadata[key], let range = text.range(of: old) else { throw Absent(name: "\(old) in \(key)") }
    metadata[key] = text.replacingCharacters(in: range, with: new)
  }

  /// The number behind a quoted name in the metadata, multiplied.
  mutating func scale(_ key: String, after mark: String, by factor: Double) throws {
    guard let text = metadata[key], let start = text.range(of: mark)?.upperBound else { throw Absent(name: mark) }
    let digits = text[start...].drop { $0 == " " || $0 == "[" }.prefix { "0123456789.e-+".contains($0) }
    guard let number = Double(digits) else { throw Absent(name: "a number after \(mark)") }
    metadata[key] = text.replacingCharacters(in: digits.startIndex..<digits.endIndex, with: "\(number * factor)")
  }
}

// MARK: - Values in another order

/// The values moved along an axis by one, around the border.
func rolled(_ values: [Double], _ shape: [Int], axis: Int, by step: Int = 1) -> [Double] {
  moved(values, shape) { place in
    var place = place
    place[axis] = (place[axis] + step + shape[axis]) % shape[axis]
    return place
  }
}

/// The values with two axes of the same length exchanged.
func exchanged(_ values: [Double], _ shape: [Int], _ first: Int, _ second: Int) -> [Double] {
  moved(values, shape) { place in
    var place = place
    place.swapAt(first, second)
    return place
  }
}

/// Two parts of an axis exchanged: parts 1 and 2 of 6 are the second and the third sixth.
func partsExchanged(_ values: [Double], _ shape: [Int], axis: Int, _ first: Int, _ second: Int, of count: Int)
  -> [Double]
{
  let length = shape[axis] / count
  return moved(values, shape) { place in
    var place = place
    let part = place[axis] / length
    if part == first { place[axis] += (second - first) * length }
    if part == second { place[axis] += (first - second) * length }
    return place
  }
}

private func moved(_ values: [Double], _ shape: [Int], _ source: ([Int]) -> [Int]) -> [Double] {
  values.indices.map { index in
    var (rest, place) = (index, [Int](repeating: 0, count: shape.count))
    for axis in shape.indices.reversed() {
      place[axis] = rest % shape[axis]
      rest /= shape[axis]
    }
    return values[source(place).enumerated().reduce(0) { $0 * shape[$1.offset] + $1.element }]
  }
}
