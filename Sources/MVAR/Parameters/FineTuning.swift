// Weights of one transformer as the beginning of another that differs in its classes or in its list of scales: what is
// the same is taken as it is, and three parameters follow rules of their own.
//
//     class_emb[c]          the row of the old class that is mapped to class c; otherwise its initial value
//     class_emb[null]       the old null class's row, which is the last one
//     pos_1LC of scale s    those of the old scale t(s), a map of p × p, resized by bicubic interpolation to q × q
//     lvl_embed[s]          the row of t(s)
//
// t(s) is the old scale whose place t/(T − 1) in its list is nearest to s/(S − 1), the lower of two; s itself where both
// lists have as many scales. Nothing changes, to the bit, where lists and classes are the same.

import TensorCore

/// How a transformer begins with the weights of another.
public struct FineTuning: Sendable {
  /// The model that the weights belong to.
  public let old: TransformerConfiguration
  /// The model that begins with them.
  public let new: TransformerConfiguration
  /// The old class whose row each new class takes; nil for an initial value.
  public let classes: [Int?]

  /// A beginning.
  ///
  /// - Parameters:
  ///   - old: the model that the weights belong to.
  ///   - new: the model that begins with them.
  ///   - classes: the old class of each new one, or nil; without a list, all rows are kept where there are as many
  ///     classes, and none otherwise.
  /// - Throws: `ConfigurationError` when the models differ in anything but classes, scales and attention.
  public init(from old: TransformerConfiguration, to new: TransformerConfiguration, classes: [Int?]? = nil) throws {
    for (name, old, new) in [
      ("blocks", old.depth, new.depth), ("elements a token", old.width, new.width), ("heads", old.heads, new.heads),
      ("codes", old.vocabulary, new.vocabulary), ("elements a code", old.codeWidth, new.codeWidth),
    ] where old != new {
      throw ConfigurationError("the weights are of a model of \(old) \(name), and \(new) are needed")
    }
    for (name, old, new) in [
      ("one AdaLN projection for all blocks", old.sharesModulation, new.sharesModulation),
      ("normalized queries and keys", old.normalizesAttention, new.normalizesAttention),
    ] where old != new {
      throw ConfigurationError("the weights are of a model with\(old ? "" : "out") \(name)")
    }
    let usual = (0..<new.classes).map { old.classes == new.classes ? $0 : nil }
    let classes = classes ?? usual
    guard classes.count == new.classes, classes.allSatisfy({ $0.map((0..<old.classes).contains) ?? true }) else {
      throw ConfigurationError("the classes of the weights are 0 … \(old.classes - 1)")
    }
    (self.old, self.new, self.classes) = (old, new, classes)
  }

  /// t(s)
  func oldScale(of scale: Int) -> Int {
    let (oldLast, newLast) = (old.scaleList.count - 1, new.scaleList.count - 1)
    func distance(_ oldScale: Int) -> Int { abs(oldScale * newLast - scale * oldLast) }
    return (0...oldLast).reduce(0) { distance($1) < distance($0) ? $1 : $0 }
  }

  private var keepsClasses: Bool { old.classes == new.classes && classes == (0..<new.classes).map { $0 } }

  /// What is not taken as it is, one sentence for each parameter.
  public var changes: [String] {
    var changes: [String] = []
    if !keepsClasses {
      let kept = classes.count { $0 != nil }
      let fresh = kept == classes.count ? "none begins" : "\(classes.count - kept) begin"
      changes.append(
        "class_emb.weight: the null class and \(kept) of \(classes.count) classes are kept, \(fresh) afresh")
    }
    if old.scaleList != new.scaleList {
      let resized = (0..<new.scaleList.count).count { new.scaleList.sides[$0] != old.scaleList.sides[oldScale(of: $0)] }
      changes.append(
        "pos_1LC: \(resized) of \(new.scaleList.count) scales are resized, from \(old.scaleList) to \(new.scaleList)")
      changes.append(
        "lvl_embed.weight: the rows of the old scales "
          + (0..<new.scaleList.count).map { "\(oldScale(of: $0))" }.joined(separator: " "))
    }
    return changes
  }

  // MARK: Values

  /// class_emb, from the old one [(classes + 1) · C] and initial values.
  func classRows(_ rows: [Float], initial: [Float]) -> [Float] {
    let width = new.width
    return (0...new.classes).flatMap { row -> ArraySlice<Float> in
      guard let kept = row == new.classes ? old.classes : classes[row] else {
        return initial[row * width..<(row + 1) * width]
      }
      return rows[kept * width..<(kept + 1) * width]
    }
  }

  /// lvl_embed, from the old one [T · C].
  func levelRows(_ rows: [Float]) -> [Float] {
    let width = new.width
    return (0..<new.scaleList.count).flatMap { rows[oldScale(of: $0) * width..<(oldScale(of: $0) + 1) * width] }
  }

  /// pos_1LC, from the old one [L · C].
  func positionRows(_ rows: [Float]) -> [Float] {
    (0..<new.scaleList.count).flatMap { scale in
      let source = oldScale(of: scale)
      let tokens = old.scaleList.tokens(of: source)
      return Self.resized(
        Array(rows[tokens.lowerBound * new.width..<tokens.upperBound * new.width]), width: new.width,
        from: old.scaleList.sides[source], to: new.scaleList.sides[scale])
    }
  }

  /// A map [p · p, C] resized to [q · q, C].
  static func resized(_ map: [Float], width: Int, from side: Int, to newSide: Int) -> [Float] {
    guard side != newSide else { return map }
    let taps = ResamplingTaps.bicubic(from: side, to: newSide)
    var result: [Float] = []
    result.reserveCapacity(newSide * newSide * width)
    for row in 0..<newSide {
      for column in 0..<newSide {
        var sums = [Double](repeating: 0, count: width)
        for (y, vertical) in zip(taps.places[row], taps.weights[row]) {
          for (x, horizontal) in zip(taps.places[column], taps.weights[column]) {
            let start = (y * side + x) * width
            for i in 0..<width { sums[i] += vertical * horizontal * Double(map[start + i]) }
          }
        }
        result += sums.map { Float($0) }
      }
    }
    return result
  }
}

/// Parameters of a model that begins with the weights of another.
public struct FineTuningSource<B: Backend>: ParameterSource {
  private let tuning: FineTuning
  private let weights: any ParameterSource<B>
  private let initial: InitialSource<B>
  private let device: B.Device

  /// A source.
  ///
  /// - Parameters:
  ///   - tuning: what goes where.
  ///   - weights: has the parameters of the old model.
  ///   - initial: has the rows of classes that are not mapped.
  ///   - device: where the parameters are.
  public init(
    _ tuning: FineTuning, _ weights: any ParameterSource<B>, initial: InitialSource<B>, on device: B.Device
  ) {
    self.tuning = tuning
    self.weights = weights
    self.initial = initial
    self.device = device
  }

  /// The value of a parameter.
  public func value(_ name: String, shape: Shape, initial rule: InitialValue) throws -> Tensor<B> {
    func old(_ shape: Shape) throws -> [Float] {
      try weights.value(name, shape: shape, initial: rule).scalars().map { Float($0) }
    }
    let width = tuning.old.width
    let values: [Float]
    switch name {
    case "classEmbedding.weight":
      let fresh = try initial.value(name, shape: shape, initial: rule).scalars().map { Float($0) }
      values = tuning.classRows(try old([tuning.old.classes + 1, width]), initial: fresh)
    case "positions":
      values = tuning.positionRows(try old([1, tuning.old.scaleList.length, width]))
    case "levelEmbedding.weight":
      values = tuning.levelRows(try old([tuning.old.scaleList.count, width]))
    default:
      return try weights.value(name, shape: shape, initial: rule)
    }
    return try Tensor(B.Scalar.array(values), shape: shape, on: device)
  }

  /// The weight of a linear layer, as it is.
  public func linearWeight(_ name: String, shape: Shape, initial: InitialValue, role: WeightRole) throws -> Tensor<B> {
    try weights.linearWeight(name, shape: shape, initial: initial, role: role)
  }
}
