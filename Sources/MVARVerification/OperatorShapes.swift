// The specification of an operator's case in an `ops` file, and whether its shapes and attributes fit the operator.
// Operators stop the program at shapes that do not fit, because in a program that is a programming error; in a file it
// is bad input, which affects only one case. Nothing is computed here.

import Foundation
import MVARFiles

/// The attributes an operator may have in an `ops` file.
struct GoldenAttributes: Decodable {
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

  /// Attributes that only describe in words what the operator does anyway.
  private static let remarks: Set<String> = ["affine", "pad", "align_corners", "a", "layout", "window"]

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
    for key in all.allKeys.sorted(by: { $0.stringValue < $1.stringValue }) where Known(rawValue: key.stringValue) == nil
    {
      problem = Self.problem(with: key, all)
      if problem != nil { return }
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

  /// What is wrong with an attribute that is not a parameter: an unknown one, or a kernel or border other than ours.
  private static func problem(with key: AnyKey, _ all: KeyedDecodingContainer<AnyKey>) -> String? {
    guard remarks.contains(key.stringValue) else { return "unknown attribute `\(key.stringValue)`" }
    let isSame =
      switch key.stringValue {
      case "affine", "align_corners": (try? all.decode(Bool.self, forKey: key)) == false
      case "a": (try? all.decode(Double.self, forKey: key)) == -0.75
      default: (try? all.decode(String.self, forKey: key)) != nil
      }
    if isSame { return nil }
    // A window is a text about its border; its size is the kernel.
    return key.stringValue == "window"
      ? "unknown attribute `window`" : "the attribute `\(key.stringValue)` is another than what this version computes"
  }
}

/// The shapes of one case.
struct OperatorShapes {
  /// The sentence for an unknown operator.
  static let unknown = "this version knows no such operator"

  private let file: GoldenFile
  private let name: String
  private let attributes: GoldenAttributes

  init(_ file: GoldenFile, _ name: String, _ attributes: GoldenAttributes) {
    (self.file, self.name, self.attributes) = (file, name, attributes)
  }

  /// The operator of a case: `linear` for `linear_2`. Names whose numbers are sizes, such as `area_4_2`, are recognized
  /// by their prefix.
  static func kind(of name: String) -> String { name.replacing(#/_\d+$/#, with: "") }

  /// The shape of the operator's output.
  ///
  /// - Parameter wanted: the output's shape in the file, which determines the size that maps are resized to.
  /// - Throws: `GoldenOperatorError`, `GoldenError` or `FileError` when the case cannot be run.
  func output(like wanted: [Int]) throws -> [Int] {
    if let problem = attributes.problem { throw GoldenOperatorError(problem) }
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
      let (x, w, b) = (try shape("x", rank: 4), try shape("w", rank: 1), try shape("b", rank: 1))
      let groups = attributes.groups ?? 32
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
    default: throw GoldenOperatorError(Self.unknown)
    }
  }

  private func windowAttention() throws -> [Int] {
    let q = try shape("q", rank: 5)  // [B, P, P, H, c]
    let (k, v) = (try shape("k", rank: 5), try shape("v", rank: 5))
    try require(k == q && v == q, "k \(k) and v \(v) do not fit q \(q)")
    guard let window = attributes.kernel else { throw GoldenOperatorError("has no attribute `kernel`") }
    try require(q[1] == q[2], "the map is \(q[1]) × \(q[2]), not a square")
    try require(window > 0 && window <= q[1], "a window of \(window) does not fit a map of \(q[1]) × \(q[2])")
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

  /// The shape of an input, none of whose dimensions is 0.
  private func shape(_ letter: String, rank: Int? = nil) throws -> [Int] {
    let found = try file.tensor("\(name).in.\(letter)").shape
    try require(
      rank.map { $0 == found.count } ?? true && found.allSatisfy { $0 > 0 } && !found.isEmpty,
      "\(letter) has shape \(found)")
    return found
  }

  private func require(_ condition: Bool, _ problem: @autoclosure () -> String) throws {
    if !condition { throw GoldenOperatorError(problem()) }
  }
}
