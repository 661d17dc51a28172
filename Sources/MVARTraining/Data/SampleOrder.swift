// Determines which examples are in batch number i: a pure function of the seed and i, so that a run that is resumed, or
// that prepares its batches ahead of time, sees the same examples as one that does not. It does not touch the examples,
// and it does not count steps.

import Synchronization
import TensorCore

/// How often the examples of small classes are seen.
public enum ClassBalance: String, Sendable, CaseIterable {
  /// Every example once in an epoch.
  case none
  /// Sampled with replacement; a class is weighted by the square root of its count.
  case squareRoot = "sqrt"
  /// Sampled with replacement; every class has the same weight.
  case full
}

/// The order in which the examples of a set are used.
public struct SampleOrder: Sendable {
  /// The number of examples.
  public let count: Int
  /// Examples per batch.
  public let batch: Int
  /// The place of the first example of batch 0 in the sequence; not 0 where batches of another size came before.
  public let offset: Int
  /// The seed of the order.
  public let seed: UInt64
  /// How often the examples of small classes are seen.
  public let balance: ClassBalance

  private let classes: WeightedClasses
  private let cache = PermutationCache()

  /// The order of a set.
  ///
  /// - Parameters:
  ///   - labels: the class of each example; at least one example, no label below 0.
  ///   - batch: examples per batch, at least 1.
  ///   - seed: another seed gives another order.
  ///   - balance: how often the examples of small classes are seen.
  ///   - offset: the place of batch 0 in the sequence, which batches of another size have cut up so far; batches that would
  ///     lie before its beginning are never asked for.
  public init(labels: [Int], batch: Int, seed: UInt64, balance: ClassBalance, offset: Int = 0) {
    precondition(!labels.isEmpty, "an order of no examples")
    precondition(batch >= 1, "a batch of \(batch) examples")
    count = labels.count
    self.batch = batch
    self.offset = offset
    self.seed = seed
    self.balance = balance
    classes = WeightedClasses(labels: labels, balance: balance)
  }

  /// How many batches it takes to see as many examples as the set has, rounded up.
  public var batchesPerEpoch: Int { (count - 1) / batch + 1 }

  /// The place of a batch's first example in the sequence: the number of its sample, of which random numbers are streams.
  public func firstSample(ofBatch batch: Int) -> Int { offset + batch * self.batch }

  /// The examples of a batch.
  ///
  /// Without balance, the batches cut up a sequence of epochs, each a permutation of all examples; an epoch whose
  /// length is not a multiple of the batch continues into the next one. With balance, every position is sampled
  /// independently.
  ///
  /// - Parameter batch: the number of the batch, from 0.
  /// - Returns: the indices of as many examples as a batch has.
  public func indices(ofBatch batch: Int) -> [Int] {
    let places = firstSample(ofBatch: batch)..<firstSample(ofBatch: batch + 1)
    precondition(batch >= 0 && places.lowerBound >= 0, "batch number \(batch)")
    guard balance == .none else { return places.map { classes.sample(RandomStream(seed: seed, stream: UInt64($0))) } }
    var result: [Int] = []
    result.reserveCapacity(self.batch)
    while result.count < self.batch {
      let place = places.lowerBound + result.count
      let (epoch, start) = place.quotientAndRemainder(dividingBy: count)
      let permutation = cache.permutation(epoch: epoch) { Self.permutation(count, seed: seed, epoch: epoch) }
      result += permutation[start..<min(count, start + self.batch - result.count)]
    }
    return result
  }

  /// The examples sorted by random keys from the stream whose number is the epoch's.
  private static func permutation(_ count: Int, seed: UInt64, epoch: Int) -> [Int] {
    let stream = RandomStream(seed: seed, stream: UInt64(epoch))
    let keys = (0..<count).map { index in
      let words = stream.words(block: UInt32(truncatingIfNeeded: index >> 1), purpose: .shuffling)
      let first = 2 * (index & 1)
      return UInt64(words[first]) << 32 | UInt64(words[first + 1])
    }
    return (0..<count).sorted { (keys[$0], $0) < (keys[$1], $1) }
  }
}

/// The examples of each class, to sample a class by weight and one of its examples uniformly.
private struct WeightedClasses: Sendable {
  private var members: [[Int]] = []
  /// The cumulative weights of the classes, ending at 1.
  private var cumulative: [Double] = []

  init(labels: [Int], balance: ClassBalance) {
    guard balance != .none else { return }
    let groups = Dictionary(grouping: labels.indices) { labels[$0] }
    members = groups.sorted { $0.key < $1.key }.map(\.value)
    var sum = 0.0
    for group in members {
      sum += balance == .full ? 1 : Double(group.count).squareRoot()
      cumulative.append(sum)
    }
    cumulative = cumulative.map { $0 / sum }
  }

  /// One example: the stream's first number chooses the class, the second the example.
  func sample(_ stream: RandomStream) -> Int {
    let chosen = stream.uniform(0, purpose: .shuffling)
    var (low, high) = (0, cumulative.count - 1)
    while low < high {
      let middle = (low + high) / 2
      if cumulative[middle] < chosen { low = middle + 1 } else { high = middle }
    }
    let group = members[low]
    return group[min(Int(stream.uniform(1, purpose: .shuffling) * Double(group.count)), group.count - 1)]
  }
}

/// Keeps the permutations of the last two epochs, so that a batch needs no sorting.
private final class PermutationCache: Sendable {
  private let kept = Mutex<[(epoch: Int, permutation: [Int])]>([])

  func permutation(epoch: Int, make: () -> [Int]) -> [Int] {
    if let found = kept.withLock({ $0.first { $0.epoch == epoch }?.permutation }) { return found }
    let made = make()
    kept.withLock { kept in
      kept.removeAll { $0.epoch == epoch }
      kept.append((epoch, made))
      if kept.count > 2 { kept.removeFirst() }
    }
    return made
  }
}
