// What a training costs on N ranks, computed from sizes alone: how long the products of a step take, how long its gradients
// travel, how much of that the backward hides, and what a rank keeps in memory. Nothing is measured.
//
//     a rank sends in a ring all-reduce:   2·(N − 1)/N · 4 P bytes
//     computing:                           2 · multiply-accumulates / rate
//     gradients travel in K buckets while the backward of b seconds runs, c seconds in all, and the step waits for
//                                          max(c − b·(1 − 1/K), c/K)
//
// The first bucket leaves when 1/K of the backward is done; the last one, when all of it is. Left out are the optimizer, the
// copies between device and network, the tokenizer (tokens are cached), and the time in which nothing travels yet (latency).

import MVAR
import TensorCore

/// The costs of data-parallel training of a transformer, by `TransformerCost` and the speeds of a machine.
public struct ParallelTraining: Hashable, Sendable {
  /// What each rank has.
  public struct Machine: Hashable, Sendable {
    /// Floating-point operations a second that products reach, two for a multiply-accumulate.
    public var rate: Double
    /// Bytes a second that a rank sends to its neighbor in the ring while it receives as many.
    public var link: Double
    /// Bytes of memory.
    public var memory: Double

    /// A machine.
    ///
    /// - Parameters:
    ///   - rate: operations a second, above 0.
    ///   - link: bytes a second, above 0.
    ///   - memory: bytes.
    public init(rate: Double, link: Double, memory: Double) {
      self.rate = rate
      self.link = link
      self.memory = memory
    }
  }

  /// How it is trained, by the options of `mvar train`.
  public struct Options: Hashable, Sendable {
    /// Micro-batches per step, after which gradients travel once.
    public var accumulation = 1
    /// Whether each rank keeps a part of the moments only.
    public var sharesMoments = false
    /// Whether only the input of each block is kept, and blocks run again in the backward.
    public var recomputes = false
    /// In which numbers gradients and moments are kept.
    public var storage = OptimizerStorage()

    /// What `mvar train` does without options.
    public init() {}
  }

  /// Seconds of a step, the mean over a cycle of segments.
  public struct Step: Hashable, Sendable {
    /// Of the products.
    public let computing: Double
    /// While gradients travel.
    public let reducing: Double
    /// Of the gradients' time what the backward does not hide, and the time in which shared moments' results travel.
    public let waiting: Double

    /// All of it.
    public var total: Double { computing + waiting }
  }

  /// Bytes of a rank at the peak of a step.
  public struct Memory: Hashable, Sendable {
    /// Of the weights.
    public let weights: Double
    /// Of the gradients, at the end of the backward.
    public let gradients: Double
    /// Of AdamW's two moments.
    public let moments: Double
    /// Of the activations, at the end of the forward.
    public let activations: Double

    /// Weights and moments, and with them activations or gradients, whichever are more.
    public var total: Double { weights + moments + max(activations, gradients) }
  }

  /// The model's cost.
  public let cost: TransformerCost
  /// What each rank has.
  public let machine: Machine
  /// How it is trained.
  public let options: Options
  /// The order of segments.
  public let cycle: SegmentCycle

  /// A training.
  public init(_ cost: TransformerCost, on machine: Machine, _ options: Options = Options()) {
    self.cost = cost
    self.machine = machine
    self.options = options
    cycle = SegmentCycle(cost.trajectory)
  }

  // MARK: Bytes that travel

  /// Bytes of all gradients, in float32.
  public var gradientBytes: Double { 4 * cost.parameters }

  /// Bytes that each rank sends in a step: gradients as a ring all-reduce, and with shared moments the updated weights once more.
  ///
  /// - Parameter ranks: N.
  public func sentBytes(ranks: Int) -> Double {
    Double(ranks - 1) / Double(ranks) * gradientBytes * (options.sharesMoments ? 3 : 2)
  }

  // MARK: Time

  /// The seconds of a step.
  ///
  /// - Parameters:
  ///   - ranks: N.
  ///   - images: in a micro-batch of each rank; a fraction where ranks take turns.
  public func step(ranks: Int, images: Double) -> Step {
    let share = Double(ranks - 1) / Double(ranks) * gradientBytes / machine.link
    let reducing = 2 * share
    let buckets = (gradientBytes / (4 * Double(GradientExchange<CPU<Float>>.bucketElements))).rounded(.up)  // K
    var (computing, waiting) = (0.0, 0.0)
    for place in 0..<cycle.length {
      let segments = cycle.segments(at: place)
      computing += segments.reduce(0) { $0 + seconds(forward: $1, images) + seconds(backward: $1, images) }
      let last = seconds(backward: segments[segments.count - 1], images)
      waiting += max(reducing - last * (1 - 1 / buckets), reducing / buckets)
    }
    let mean = 1 / Double(cycle.length)
    return Step(
      computing: computing * mean * Double(options.accumulation), reducing: reducing,
      waiting: waiting * mean + (options.sharesMoments ? share : 0))
  }

  private func seconds(forward scales: Range<Int>, _ images: Double) -> Double {
    2 * images * cost.products(scales: scales) / machine.rate
  }

  private func seconds(backward scales: Range<Int>, _ images: Double) -> Double {
    var products = cost.trainingProducts(scales: scales) - cost.products(scales: scales)
    if options.recomputes {
      // Blocks, not what is before and after them.
      products += cost.products(scales: scales) - cost.products(of: .head, scales: scales)
      products -= cost.products(of: .wordEmbedding, scales: scales)
    }
    return 2 * images * products / machine.rate
  }

  /// The fraction of a step that is spent computing.
  ///
  /// - Parameters:
  ///   - ranks: N.
  ///   - images: in a micro-batch of each rank.
  public func efficiency(ranks: Int, images: Double) -> Double {
    let step = step(ranks: ranks, images: images)
    return step.total > 0 ? step.computing / step.total : 0
  }

  /// The most ranks among which a batch can be divided so that at least half of their time is spent computing; a rank has one
  /// image at least.
  ///
  /// - Parameter images: in a micro-batch of all ranks together.
  public func mostUsefulRanks(images: Int) -> Int {
    // The efficiency falls as ranks grow.
    var (useful, most) = (1, max(images, 1) + 1)
    while most - useful > 1 {
      let middle = (useful + most) / 2
      if efficiency(ranks: middle, images: Double(images) / Double(middle)) >= 0.5 {
        useful = middle
      } else {
        most = middle
      }
    }
    return useful
  }

  // MARK: Memory

  /// The bytes of a rank.
  ///
  /// - Parameters:
  ///   - ranks: N.
  ///   - images: in a micro-batch of the rank.
  public func memory(ranks: Int, images: Int) -> Memory {
    Memory(
      weights: 4 * cost.parameters, gradients: options.storage.gradientBytes * cost.parameters,
      moments: options.storage.momentBytes * cost.parameters / (options.sharesMoments ? Double(ranks) : 1),
      activations: cost.trainingBytes(batch: images, recomputing: options.recomputes))
  }

  /// The most images in a micro-batch of a rank that its memory holds; 0 where one is too many.
  ///
  /// - Parameter ranks: N.
  public func largestBatch(ranks: Int) -> Int {
    var (fits, tooMany) = (0, 1 << 20)
    while tooMany - fits > 1 {
      let middle = (fits + tooMany) / 2
      if memory(ranks: ranks, images: middle).total <= machine.memory { fits = middle } else { tooMany = middle }
    }
    return fits
  }
}
