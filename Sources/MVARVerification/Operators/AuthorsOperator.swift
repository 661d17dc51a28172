// The names of operators, inputs and attributes in golden files of format 1, and those of the catalog that they stand
// for.

import OperatorCases

/// An operator of a golden file of format 1.
struct AuthorsOperator {
  /// Its name in the catalog.
  let operatorName: String
  /// The letters of its inputs and the names that they stand for, in the order of the catalog.
  let letters: [(letter: String, input: String)]
  /// The side of a convolution's kernel.
  private var kernel: Int?
  /// What the name of the operator says about its attributes.
  private var fixed: [OperatorAttribute] = []

  private static let weighted = [("x", "x"), ("w", "weight"), ("b", "bias")]

  /// The operator of a case: `linear` for `linear_2`. Names whose numbers are sizes, such as `area_4_2`, are recognized
  /// by their beginning.
  ///
  /// - Throws: `GoldenOperatorError` for an unknown one.
  init(name: String) throws {
    switch name.replacing(#/_\d+$/#, with: "") {
    case "linear": self.init("linear", Self.weighted)
    case "layer_norm": self.init("layerNorm")
    case "group_norm": self.init("groupNorm", Self.weighted)
    case "silu": self.init("silu")
    case "gelu_tanh": self.init("geluTanh")
    case "softmax": self.init("softmax")
    case "l2_normalize": self.init("l2Normalize")
    case "conv3x3_pad1": self.init(kernel: 3, ["top": 1, "left": 1, "bottom": 1, "right": 1])
    case "conv1x1": self.init(kernel: 1)
    case "conv3x3_stride2_asympad": self.init(kernel: 3, ["stride": 2, "bottom": 1, "right": 1])
    case "upsample_nearest2x": self.init("upsampleNearest")
    case _ where name.hasPrefix("area_"): self.init("areaResize")
    case _ where name.hasPrefix("bicubic_"): self.init("bicubicResize")
    case _ where name.hasPrefix("cross_entropy"): self.init("crossEntropy", [("x", "logits")])
    case _ where name.hasPrefix("window_attention"):
      self.init("neighborhoodAttention", [("q", "queries"), ("k", "keys"), ("v", "values")])
    default: throw GoldenOperatorError("this version knows no such operator")
    }
  }

  private init(_ operatorName: String, _ letters: [(letter: String, input: String)] = [("x", "x")]) {
    self.operatorName = operatorName
    self.letters = letters
  }

  private init(kernel: Int, _ attributes: [String: Int] = [:]) {
    self.init("convolution", Self.weighted)
    self.kernel = kernel
    fixed = attributes.map { OperatorAttribute($0, .integer($1)) }
  }

  /// The attributes that the operator has in these files; any input x may be multiplied first.
  var attributeNames: Set<String> {
    let own: Set<String> =
      switch operatorName {
      case "groupNorm": ["groups", "eps"]
      case "layerNorm": ["eps"]
      case "crossEntropy": ["targets", "label_smoothing"]
      case "neighborhoodAttention": ["kernel", "scale"]
      default: []
      }
    return letters.contains { $0.letter == "x" } ? own.union(["pre_scale"]) : own
  }

  /// The attributes of the catalog.
  ///
  /// - Parameter output: the shape of the output in the file, which says what maps are resized to.
  /// - Throws: `GoldenOperatorError` where something required is missing or does not fit.
  func attributes(_ given: AuthorsAttributes, output: [Int], _ inputs: [String: Values]) throws -> [OperatorAttribute] {
    switch operatorName {
    case "groupNorm":
      return given.epsilon + [OperatorAttribute("groups", .integer(given.groups ?? 32))]
    case "layerNorm": return given.epsilon
    case "crossEntropy": return [OperatorAttribute("labelSmoothing", .number(given.labelSmoothing ?? 0))]
    case "neighborhoodAttention":
      guard let window = given.kernel else { throw GoldenOperatorError("needs the attribute `kernel`") }
      return [
        OperatorAttribute("window", .integer(window)), OperatorAttribute("softmaxScale", .number(given.scale ?? 1)),
      ]
    case "areaResize", "bicubicResize":
      guard output.count == 4, let x = inputs["x"]?.shape.dimensions, x.count != 4 || x.prefix(2) == output.prefix(2)
      else { throw GoldenOperatorError("x \(inputs["x"]?.shape ?? []) cannot be resized to \(output)") }
      return [OperatorAttribute("height", .integer(output[2])), OperatorAttribute("width", .integer(output[3]))]
    case "convolution":
      if let kernel, let weight = inputs["weight"]?.shape.dimensions, weight.suffix(2) != [kernel, kernel] {
        throw GoldenOperatorError("w has shape \(weight), which is no kernel of \(kernel) × \(kernel)")
      }
      return fixed
    default: return fixed
    }
  }
}

/// The attributes of a case in a golden file of format 1.
struct AuthorsAttributes {
  let groups: Int?
  /// What the input x is multiplied by first.
  let preScale: Double
  let targets: [Int]?
  let labelSmoothing: Double?
  let kernel: Int?
  let scale: Double?
  private let eps: Double?

  /// The attribute of norms, if it is given.
  var epsilon: [OperatorAttribute] { eps.map { [OperatorAttribute("epsilon", .number($0))] } ?? [] }

  /// - Parameter known: the attributes that the operator has.
  /// - Throws: `GoldenOperatorError` for an unknown attribute or one of the wrong kind.
  init(_ description: JSONValue, known: Set<String>) throws {
    guard let given = description.object else { throw GoldenOperatorError("its attributes are no dictionary") }
    for (key, value) in given.sorted(by: { $0.key < $1.key }) where !known.contains(key) {
      try Self.checkRemark(key, value)
    }
    func value<Value>(_ key: String, _ read: (JSONValue) -> Value?) throws -> Value? {
      guard let json = given[key], json != .null else { return nil }
      guard let value = read(json) else { throw GoldenOperatorError("the attribute `\(key)` is of the wrong kind") }
      return value
    }
    eps = try value("eps", \.number)
    groups = try value("groups", \.integer)
    preScale = try value("pre_scale", \.number) ?? 1
    targets = try value("targets") { json in
      let integers = json.array?.map(\.integer)
      return integers?.contains(nil) ?? true ? nil : integers?.compactMap { $0 }
    }
    labelSmoothing = try value("label_smoothing", \.number)
    kernel = try value("kernel", \.integer)
    scale = try value("scale", \.number)
  }

  /// Checks what only describes in words what the operator does anyway: it may say nothing else.
  private static func checkRemark(_ key: String, _ value: JSONValue) throws {
    let isSame: Bool
    switch key {
    case "affine", "align_corners": isSame = value == .bool(false)
    case "a": isSame = value.number == -0.75
    // A window is a text about its border; its size is the kernel.
    case "pad", "layout", "window": isSame = value.string != nil
    default: throw GoldenOperatorError("unknown attribute `\(key)`")
    }
    guard !isSame else { return }
    throw GoldenOperatorError(
      key == "window"
        ? "unknown attribute `window`" : "the attribute `\(key)` is another than what this version computes")
  }
}
