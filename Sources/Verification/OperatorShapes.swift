// What an `ops` file says of an operator's case, and whether its shapes and attributes fit the operator. Operators stop the
// program at shapes that do not fit, because in a program that is a mistake; in a file it is bad input, which is one case's
// fault. Nothing is computed here.

import Checkpoints
import Foundation
import MVAR

/// The attributes an operator may have in an `ops` file.
struct OperatorAttributes: Decodable {
  private(set) var eps: Double?
  private(set) var groups: Int?
  private(set) var preScale: Double?
  private(set) var targets: [Int]?
  private(set) var labelSmoothing: Double?
  private(set) var kernel: Int?
  private(set) var scale: Double?
  /// What is wrong with the attributes, if anything.
  private(set) var problem: String?

  private enum Known: String, CodingKey, CaseIterable {
    case eps, groups, targets, kernel, scale
    case preScale = "pre_scale"
    case labelSmoothing = "label_smoothing"
  }

  /// What golden files say of an operator for people: its only value, or any text.
  private static func isNote(_ key: AnyKey, in container: KeyedDecodingContainer<AnyKey>) -> Bool {
    switch key.stringValue {
    case "affine", "align_corners": (try? container.decode(Bool.self, forKey: key)) == false
    case "a": (try? container.decode(Double.self, forKey: key)) == -0.75
    case "pad", "layout", "window": (try? container.decode(String.self, forKey: key)) != nil
    default: false
    }
  }

  private struct AnyKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init?(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { return nil }
  }

  init(from decoder: any Decoder) throws {
    guard let all = try? decoder.container(keyedBy: AnyKey.self),
      let container = try? decoder.container(keyedBy: Known.self)
    else {
      problem = "its attributes are no dictionary"
      return
    }
    let unknown = all.allKeys.filter { Known(rawValue: $0.stringValue) == nil && !Self.isNote($0, in: all) }
    if let unknown = unknown.map(\.stringValue).min() {
      problem = "unknown attribute `\(unknown)`"
      return
    }
    for key in Known.allCases {
      do {
        switch key {
        case .eps: eps = try container.decodeIfPresent(Double.self, forKey: key)
        case .groups: groups = try container.decodeIfPresent(Int.self, forKey: key)
        case .preScale: preScale = try container.decodeIfPresent(Double.self, forKey: key)
        case .targets: targets = try container.decodeIfPresent([Int].self, forKey: key)
        case .labelSmoothing: labelSmoothing = try container.decodeIfPresent(Double.self, forKey: key)
        case .kernel: kernel = try container.decodeIfPresent(Int.self, forKey: key)
        case .scale: scale = try container.decodeIfPresent(Double.self, forKey: key)
        }
      } catch {
        problem = "the attribute `\(key.rawValue)` is of the wrong kind"
      }
    }
  }
}

/// The shapes of one case.
struct OperatorShapes {
  private let file: GoldenFile
  private let name: String
  private let attributes: OperatorAttributes

  init(_ file: GoldenFile, _ name: String, _ attributes: OperatorAttributes) {
    (self.file, self.name, self.attributes) = (file, name, attributes)
  }

  /// The operator of a case: `linear` for `linear_2`. Names whose numbers are sizes, such as `area_4_2`, are known by
  /// how they begin.
  static func kind(of name: String) -> String { name.replacing(#/_\d+$/#, with: "") }

  /// The shape of the operator's output; nil for an unknown operator.
  ///
  /// - Parameter wanted: the output's shape in the file, which decides to what size maps are resized.
  /// - Throws: `GoldenError` or `CheckpointError` when the case cannot be run.
  func output(like wanted: [Int]) throws -> [Int]? {
    if let problem = attributes.problem { throw GoldenError(file.path, problem) }
    switch Self.kind(of: name) {
    case "linear":
      let (x, w, b) = (try shape("x"), try shape("w", rank: 2), try shape("b", rank: 1))
      try require(x.count > 1 && x.last == w[1] && b == [w[0]], "w \(w) and b \(b) do not fit x \(x)")
      return x.dropLast() + [w[0]]
    case "layer_norm", "softmax", "l2_normalize":
      let x = try shape("x")
      try require(x.count > 1, "x has shape \(x)")
      return x
    case "silu", "gelu_tanh": return try shape("x")
    case "group_norm":
      let (x, w, b, groups) = (
        try shape("x", rank: 4), try shape("w", rank: 1), try shape("b", rank: 1), attributes.groups ?? 32
      )
      try require(w == [x[1]] && b == w, "w \(w) and b \(b) do not fit x \(x)")
      try require(groups > 0 && x[1] % groups == 0, "\(x[1]) channels cannot be divided into \(groups) groups")
      return x
    case "conv3x3_pad1": return try convolution(kernel: 3, stride: 1, padding: 2)
    case "conv1x1": return try convolution(kernel: 1, stride: 1, padding: 0)
    case "conv3x3_stride2_asympad": return try convolution(kernel: 3, stride: 2, padding: 1)
    case "upsample_nearest2x":
      let x = try shape("x", rank: 4)
      return [x[0], x[1], 2 * x[2], 2 * x[3]]
    case _ where name.hasPrefix("area_") || name.hasPrefix("bicubic_"):
      let x = try shape("x", rank: 4)
      try require(
        wanted.count == 4 && wanted.prefix(2) == x.prefix(2) && wanted.allSatisfy { $0 > 0 },
        "x \(x) cannot be resized to \(wanted)")
      return wanted
    case _ where name.hasPrefix("cross_entropy"):
      let (x, targets) = (try shape("x", rank: 2), attributes.targets ?? [])
      try require(
        targets.count == x[0] && targets.allSatisfy { (0..<x[1]).contains($0) }, "the targets do not fit x \(x)")
      return [x[0]]
    case _ where name.hasPrefix("window_attention"): return try windowAttention()
    default: return nil
    }
  }

  private func windowAttention() throws -> [Int] {
    let q = try shape("q", rank: 5)  // [B, P, P, H, c]
    let (k, v) = (try shape("k", rank: 5), try shape("v", rank: 5))
    try require(k == q && v == q, "k \(k) and v \(v) do not fit q \(q)")
    guard let window = attributes.kernel else { throw GoldenError(file.path, "has no attribute `kernel`") }
    try require(q[1] == q[2], "the map is \(q[1]) × \(q[2]), not a square")
    try require(
      window > 0 && window <= q[1], "a window of \(window) does not fit a map of \(q[1]) × \(q[2])")
    return q
  }

  private func convolution(kernel: Int, stride: Int, padding: Int) throws -> [Int] {
    let (x, w, b) = (try shape("x", rank: 4), try shape("w", rank: 4), try shape("b", rank: 1))
    try require(
      w[1] == x[1] && w[2] == kernel && w[3] == kernel && b == [w[0]], "w \(w) and b \(b) do not fit x \(x)")
    let sides = [x[2], x[3]].map { ($0 + padding - kernel) / stride + 1 }
    try require(min(x[2], x[3]) + padding >= kernel, "x \(x) is smaller than the kernel")
    return [x[0], w[0]] + sides
  }

  /// The shape of an input, none of whose sides is 0.
  private func shape(_ letter: String, rank: Int? = nil) throws -> [Int] {
    let found = try file.tensor("\(name).in.\(letter)").shape
    try require(
      rank.map { $0 == found.count } ?? true && found.allSatisfy { $0 > 0 } && !found.isEmpty,
      "\(letter) has shape \(found)")
    return found
  }

  private func require(_ condition: Bool, _ problem: @autoclosure () -> String) throws {
    if !condition { throw GoldenError(file.path, problem()) }
  }
}
