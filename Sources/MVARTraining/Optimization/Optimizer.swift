// AdamW over the parameters of a model: which of them decay, one clip over all gradients, moments and step counts.
//
//     norm = ‖all gradients‖₂;  factor = min(1, clip/(norm + 1e-6));  one AdamW step per parameter with a gradient
//
// A parameter without a gradient is left unchanged: no decay, no moments, and its own step count does not advance.

import MVAR
import MVARCollectives
import MVARFiles
import TensorCore

/// The hyperparameters of an optimizer that stay constant during a training.
public struct OptimizerSettings: Hashable, Sendable {
  /// β₁ and β₂.
  public var betas: SIMD2<Double>
  /// ε.
  public var epsilon: Double
  /// The largest norm of all gradients together; 0 for no limit.
  public var clip: Double

  /// The published settings unless others are given.
  public init(betas: SIMD2<Double> = [0.9, 0.95], epsilon: Double = 1e-8, clip: Double = 2) {
    self.betas = betas
    self.epsilon = epsilon
    self.clip = clip
  }
}

/// AdamW with its moments.
public final class Optimizer<B: Backend> {
  /// The state of one parameter.
  public struct Moments {
    /// m
    public var first: Tensor<B>
    /// v
    public var second: Tensor<B>
    /// How many steps this parameter has taken.
    public var steps: Int
  }

  /// The parameters it updates.
  public let parameters: [Parameter<B>]
  /// Whether each of them decays.
  public let decays: [Bool]
  /// β, ε and the clip.
  public let settings: OptimizerSettings
  /// In which numbers gradients and moments are kept.
  public let storage: OptimizerStorage
  /// The moments of each parameter; nil before its first step, and where another rank keeps them.
  public var moments: [Moments?]
  /// Which rank keeps the moments of each parameter and updates it; nil where every rank does.
  public let owners: [Int]?

  let collectives: any Collectives
  private var gradients: [Tensor<B>?]
  private var exchange: GradientExchange<B>?
  private var isSent: [Bool]
  private let places: [ObjectIdentifier: Int]

  /// An optimizer with no moments yet.
  ///
  /// - Parameters:
  ///   - parameters: what is optimized.
  ///   - settings: β, ε and the clip norm.
  ///   - storage: in which numbers gradients and moments are kept; see `OptimizerStorage.check(on:)`.
  ///   - collectives: the processes that train together.
  ///   - sharingMoments: whether each of them keeps a part of the moments only (ZeRO, stage 1).
  ///   - decays: whether a parameter decays; by default the published rule of the transformer.
  public init(
    _ parameters: [Parameter<B>], _ settings: OptimizerSettings = OptimizerSettings(),
    storage: OptimizerStorage = OptimizerStorage(), collectives: any Collectives = SingleProcess(),
    sharingMoments: Bool = false, decays: (Parameter<B>) -> Bool = { ParameterGroups.decays($0) }
  ) {
    precondition(
      storage == OptimizerStorage() || B.self is any ShortOptimizerOps.Type, "\(B.self) has no short numbers")
    self.parameters = parameters
    self.settings = settings
    self.storage = storage
    self.decays = parameters.map(decays)
    self.collectives = collectives
    owners =
      sharingMoments && collectives.count > 1
      ? Self.owners(of: parameters.map(\.value.shape.count), ranks: collectives.count) : nil
    isSent = [Bool](repeating: false, count: parameters.count)
    moments = [Moments?](repeating: nil, count: parameters.count)
    gradients = [Tensor<B>?](repeating: nil, count: parameters.count)
    places = Dictionary(
      parameters.enumerated().map { (ObjectIdentifier($1), $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// Adds the gradients of a micro-batch to those of the next step.
  public func add(_ found: Gradients<B>) {
    for parameter in parameters {
      if let gradient = found[parameter] { add(gradient, of: parameter) }
    }
  }

  /// Adds the gradient of one parameter to that of the next step.
  ///
  /// - Parameters:
  ///   - gradient: the shape of the parameter.
  ///   - key: the parameter; anything else is ignored.
  public func add(_ gradient: Tensor<B>, of key: AnyObject) {
    guard let index = places[ObjectIdentifier(key)] else { return }
    if storage.gradients == .bf16, OptimizerStorage.canShorten(gradient.shape) {
      ShortState.addRounded(gradient, to: &gradients[index])
    } else if let sum = gradients[index] {
      gradients[index] = nil
      gradients[index] = B.combine(sum, times: 1, gradient, times: 1)
    } else {
      gradients[index] = gradient
    }
    send(index)
  }

  /// Which rank gets each parameter: the largest first, to the rank that has the fewest elements so far.
  static func owners(of counts: [Int], ranks: Int) -> [Int] {
    var (owners, loads) = ([Int](repeating: 0, count: counts.count), [Int](repeating: 0, count: ranks))
    for index in counts.indices.sorted(by: { (counts[$1], $0) < (counts[$0], $1) }) {
      let owner = loads.indices.min { (loads[$0], $0) < (loads[$1], $1) } ?? 0
      owners[index] = owner
      loads[owner] += counts[index]
    }
    return owners
  }

  /// Whether this rank keeps the moments of a parameter.
  func keepsMoments(of index: Int) -> Bool { owners.map { $0[index] == collectives.rank } ?? true }

  /// Says that what is added from now on completes the gradients of this step: they are averaged over the ranks while
  /// others are still computed.
  func beginExchange() {
    guard collectives.count > 1 else { return }
    exchange = GradientExchange(collectives)
    isSent = [Bool](repeating: false, count: parameters.count)
  }

  private func send(_ index: Int) {
    guard let exchange, !isSent[index], let gradient = gradients[index] else { return }
    isSent[index] = true
    gradients[index] = nil
    exchange.add(gradient, index: index)
  }

  /// Waits until all gradients are averages over the ranks. Every rank has the same bits then.
  ///
  /// - Throws: what the exchange throws.
  func finishExchange() throws {
    guard let exchange else { return }
    for index in parameters.indices { send(index) }
    self.exchange = nil
    for (index, gradient) in try exchange.finish() { gradients[index] = gradient }
  }

  /// The norm of all gradients added so far. It waits for the device, once for all of them.
  ///
  /// - Throws: what the engine throws when a transfer fails.
  public func gradientNorm() throws -> Double {
    try B.sumsOfSquares(gradients.compactMap { $0 }).reduce(0, +).squareRoot()
  }

  /// Takes one step with the gradients added since the last one, and clears them.
  ///
  /// - Parameters:
  ///   - rate: the learning rate.
  ///   - decay: the weight decay of those that decay.
  ///   - norm: the norm of the gradients, if it is known already.
  /// - Returns: the norm of the gradients before clipping. If it is not finite, nothing is changed.
  /// - Throws: what the engine throws when a transfer fails.
  @discardableResult
  public func step(rate: Double, decay: Double, norm: Double? = nil) throws -> Double {
    let norm = try norm ?? gradientNorm()
    defer { gradients = [Tensor<B>?](repeating: nil, count: parameters.count) }
    guard norm.isFinite else { return norm }
    let updated = parameters.indices.filter { gradients[$0] != nil }
    let factor = settings.clip > 0 ? min(1, settings.clip / (norm + 1e-6)) : 1
    for (index, parameter) in parameters.enumerated() {
      guard let gradient = gradients[index] else { continue }
      gradients[index] = nil
      guard keepsMoments(of: index) else { continue }
      var state = moments[index] ?? zeroMoments(like: parameter.value)
      moments[index] = nil  // so that the memory can be changed in place
      state.steps += 1
      B.adamW(
        &parameter.value, gradient: gradient, firstMoment: &state.first, secondMoment: &state.second,
        AdamWSettings(
          learningRate: rate, betas: settings.betas, epsilon: settings.epsilon, decay: decays[index] ? decay : 0,
          step: state.steps, gradientFactor: factor, stream: UInt64(index)))
      moments[index] = state
    }
    try shareValues(updated)
    return norm
  }

  /// Brings parameters from the ranks that have updated them to all others.
  private func shareValues(_ indices: [Int]) throws {
    guard let owners else { return }
    if let onDevice = collectives as? any TensorCollectives<B> {
      let values = try onDevice.broadcast(indices.map { (parameters[$0].value, owners[$0]) })
      for (index, value) in zip(indices, values) { parameters[index].value = value }
      return
    }
    for index in indices {
      let value = parameters[index].value
      var scalars = try value.scalars()
      try scalars.withUnsafeMutableBytes { try collectives.broadcast($0, from: owners[index]) }
      if owners[index] != collectives.rank {
        parameters[index].value = try Tensor(scalars, shape: value.shape, on: value.device)
      }
    }
  }

  /// Moments of a parameter that has not been updated yet.
  private func zeroMoments(like value: Tensor<B>) -> Moments {
    func zeros(_ code: ShortNumbers.Code) -> Tensor<B> {
      let short =
        isShort(value.shape)
        ? ShortState<B>.tensor(
          ShortNumbers(zeros: code, count: value.shape.count), shape: value.shape, on: value.device)
        : nil
      return short ?? Tensor(repeating: 0, shape: value.shape, on: value.device)
    }
    return Moments(first: zeros(.firstMoment), second: zeros(.secondMoment), steps: 0)
  }

  /// Whether the moments of a parameter of this shape are in short numbers.
  func isShort(_ shape: Shape) -> Bool { storage.moments == .int8 && OptimizerStorage.canShorten(shape) }
}

/// Which parameters decay.
public enum ParameterGroups {
  private static let undecayed = ["pos_1LC", "pos_start", "lvl_embed", "ada_gss", "scale_mul"]

  /// The published rule: matrices decay, among them the class embedding; biases, other vectors, positions, level
  /// embeddings, AdaLN offsets and logit scales do not.
  public static func decays<B: Backend>(_ parameter: Parameter<B>, in model: CheckpointNames.Model = .transformer)
    -> Bool
  {
    let key = CheckpointNames.key(of: parameter.name, in: model)
    return parameter.value.shape.rank > 1 && !key.hasSuffix("bias") && !undecayed.contains(where: key.contains)
  }
}

// MARK: Moments that ranks share

extension Optimizer {
  /// How many steps each parameter has taken, whichever rank keeps its moments.
  func stepCounts() throws -> [Int] {
    let own = moments.indices.map { Int64(keepsMoments(of: $0) ? moments[$0]?.steps ?? 0 : 0) }
    guard owners != nil else { return own.map { Int($0) } }
    return try collectives.sums(of: own).map { Int($0) }
  }

  /// Sends what this rank keeps to the first one, which calls `receiveMoment` twice for every parameter that it does not keep
  /// and that has taken a step, in order.
  ///
  /// - Parameter steps: what `stepCounts` has returned.
  func sendMoments(_ steps: [Int]) throws {
    guard let owners else { return }
    for index in parameters.indices where owners[index] != 0 && steps[index] > 0 {
      for part in [\Moments.first, \Moments.second] {
        var scalars = try moments[index].map { try $0[keyPath: part].scalars() } ?? zeros(index)
        try scalars.withUnsafeMutableBytes { try collectives.broadcast($0, from: owners[index]) }
      }
    }
  }

  /// The bytes of one moment of a parameter that another rank keeps: the first, and when called again the second.
  ///
  /// - Throws: `FileError` when it is not finite.
  func receiveMoment(of index: Int, _ path: String) throws -> [UInt8] {
    var scalars = zeros(index)
    try scalars.withUnsafeMutableBytes { try collectives.broadcast($0, from: owners?[index] ?? 0) }
    guard scalars.allSatisfy(\.isFinite) else {
      throw FileError(
        path, "is not written: a moment of \(parameters[index].name) is not finite any more; try a lower learning rate")
    }
    return scalars.withUnsafeBytes { [UInt8]($0) }
  }

  private func zeros(_ index: Int) -> [B.Scalar] {
    [B.Scalar](repeating: 0, count: parameters[index].value.shape.count)
  }
}
