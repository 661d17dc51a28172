// Two files of tensors, tensor by tensor: what another program computed beside what is expected.
//
// The files may have different formats, orders and types. A tensor that one of them lacks is a failure by name. What
// cannot be read is not judged, and affects no other row.

import Foundation
import MVARCheckpoints
import MVARComparison
import MVARFiles

/// The comparison of two files.
public struct TensorDiff: Sendable {
  /// All tensors of both files, in the order of execution: that of the metadata `order`, a JSON array of names, of the
  /// expected file or else of the other one; then those that it lacks, in the order of the files.
  public let names: [String]

  private let expected: Checkpoint
  private let found: Checkpoint
  private let bars: MetadataBars
  private let limits: BarOverride

  /// Opens two files.
  ///
  /// - Parameters:
  ///   - expected: a file with the values that are right: safetensors, npz or PyTorch.
  ///   - found: a file with the values to judge.
  ///   - limits: limits in the place of the bars' own.
  /// - Throws: `FileError` if one of them cannot be read, or its metadata cannot be used.
  public init(expected: String, found: String, limits: BarOverride = BarOverride()) throws {
    self.expected = try Checkpoint.open(expected)
    self.found = try Checkpoint.open(found)
    self.limits = limits
    let metadata = try self.expected.goldenMetadata()
    bars = try MetadataBars(metadata, of: expected)
    let order = try Self.order(metadata, expected) ?? Self.order(self.found.goldenMetadata(), found) ?? []
    var known: Set<ExactText> = [ExactText(Checkpoint.metadataMember)]
    let (right, ours) = (self.expected, self.found)
    names = (order + right.tensors.map(\.name) + right.unsupported + ours.tensors.map(\.name) + ours.unsupported)
      .filter { known.insert(ExactText($0)).inserted }
  }

  private static func order(_ metadata: [String: String], _ path: String) throws -> [String]? {
    guard let text = metadata["order"] else { return nil }
    guard let names = try? JSONDecoder().decode([String].self, from: Data(text.utf8)) else {
      throw FileError(path, "`order` in its metadata is no list of names")
    }
    return names
  }

  /// The rows of some tensors.
  ///
  /// - Parameter stopsAtFirst: whether the first one that differs is the last row.
  public func report(_ names: [String], stopsAtFirst: Bool = false) -> ComparisonReport {
    var rows: [Comparison] = []
    for name in names {
      rows.append(row(name))
      if stopsAtFirst, rows[rows.count - 1].verdict == .failed { break }
    }
    return ComparisonReport(subject: found.path, kind: "diff", rows: rows)
  }

  /// The row of one tensor.
  public func row(_ name: String) -> Comparison {
    for file in [found, expected] {
      if let object = file.skipped.first(where: { $0.object.isTensor && $0.name.isExactly(name) })?.object {
        return .notJudged(name, "\(file.path): it is \(object.reason)")
      }
    }
    switch (found[name], expected[name]) {
    case (let ours?, let right?):
      do {
        return try compare(name, ours, right)
      } catch {
        return .notJudged(name, "\(error)")
      }
    case (nil, _?): return .failed(name, "missing: \(found.path) has no such tensor")
    case (_?, nil): return .failed(name, "extra: \(expected.path) has no such tensor")
    case (nil, nil): return .notJudged(name, "is in the order of execution, but in neither file")
    }
  }

  private func compare(_ name: String, _ ours: StoredTensor, _ right: StoredTensor) throws -> Comparison {
    guard ours.shape == right.shape else { return .failed(name, "shape \(ours.shape), expected \(right.shape)") }
    var row: Comparison
    if !ours.scalarType.isFloatingPoint, !right.scalarType.isFloatingPoint {
      row = Comparator.integers(name, found: try ours.integers(), expected: try right.integers(), shape: right.shape)
    } else {
      let expected = try ComparedValues(right)
      let bar = try bars[name] ?? Bar(roundings: ours.scalarType, right.scalarType, of: expected.largest)
      row = Comparator.values(
        name, found: try ComparedValues(ours), expected: expected, bar: limits.bar(insteadOf: bar))
    }
    if ours.scalarType != right.scalarType {
      row.remarks.append("\(ours.scalarType) found, \(right.scalarType) expected")
    }
    return row
  }
}

extension Checkpoint {
  /// The names of tensors of kinds that are not supported.
  fileprivate var unsupported: [String] { skipped.filter(\.object.isTensor).map(\.name) }
}

extension Bar {
  /// The bar of two types of numbers: eight roundings to the one with fewer digits, relative to the largest magnitude.
  /// Where one of the two is a type of integers, the values are equal.
  init(roundings first: ScalarType, _ second: ScalarType, of largest: Double) {
    guard first.isFloatingPoint, second.isFloatingPoint else {
      self = .exact("one of the two types holds integers")
      return
    }
    let type = first.rounding >= second.rounding ? first : second
    self.init(
      absolute: max(8 * type.rounding * largest, type.leastMagnitude),
      "eight roundings to \(type.rawValue), relative to the largest expected magnitude")
  }
}

extension ScalarType {
  /// Half the distance between 1 and the next number; 0 for integers.
  var rounding: Double {
    switch self {
    case .float64: 0x1p-53
    case .float32: 0x1p-24
    case .float16: 0x1p-11
    case .bfloat16: 0x1p-8
    case .float8e4m3: 0x1p-4
    case .float8e5m2: 0x1p-3
    default: 0
    }
  }

  /// The smallest magnitude above zero, which what is smaller is rounded to; 0 for integers.
  var leastMagnitude: Double {
    switch self {
    case .float64: .leastNonzeroMagnitude
    case .float32: 0x1p-149
    case .float16: 0x1p-24
    case .bfloat16: 0x1p-133
    case .float8e4m3: 0x1p-9
    case .float8e5m2: 0x1p-16
    default: 0
    }
  }
}
