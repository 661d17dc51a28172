// The output of `mvar flops --ranks`: what a training costs on several processes, as tables and as JSON. The formulas are in
// the library (`ParallelTraining`).

import Foundation
import MVAR
import MVARTraining

/// The costs of one attention pattern's training.
struct RanksReport {
  /// The training of the given options.
  let training: ParallelTraining
  /// N
  let ranks: Int
  /// Images in a micro-batch of each rank.
  let batch: Int

  /// Images in a micro-batch of all ranks.
  private var total: Int { ranks * batch }

  // MARK: Tables

  /// What is assumed, and what travels.
  var heading: [String] {
    let (configuration, machine) = (training.cost.configuration, training.machine)
    let sent = training.sentBytes(ranks: ranks)
    return [
      "\(configuration.depth) blocks of width \(configuration.width), \(training.cost.trajectory.pattern.rawValue), "
        + String(format: "%.3f M parameters; ", training.cost.parameters / 1e6)
        + "\(ranks) rank\(ranks == 1 ? "" : "s") of \(Self.number(machine.rate / 1e12)) TFLOP/s and \(Self.number(machine.memory / 0x1p30)) GiB, "
        + "\(Self.number(machine.link / 1e9)) GB/s between neighbors",
      "a step's gradients are \(Self.megabytes(training.gradientBytes)); each rank sends \(Self.megabytes(sent))"
        + (training.options.sharesMoments ? ", with the weights that others update" : ""),
      "ms: the mean over a cycle of segments. MB: 10⁶ bytes. Left out: the optimizer, copies, latency, and the tokenizer.",
    ]
  }

  /// Prints everything.
  func print() throws {
    for line in heading { try Console.print(line) }
    for (title, rows) in [
      ("\(counted(batch, "image", "images")) on each rank", growing),
      ("\(counted(total, "image", "images")) in all, divided among the ranks", dividing),
      (
        "memory of a rank with \(counted(batch, "image", "images")); --gradients and --moments are for the cpu engine",
        memory
      ),
    ] {
      try Console.print("\n\(title)")
      try Table.print(rows)
      if rows == dividing { try Console.print(end) }
    }
  }

  /// The ranks that are shown: doubled from 1 to N, and N.
  private func counts(upTo most: Int) -> [Int] {
    var counts: [Int] = []
    var count = 1
    while count < most {
      counts.append(count)
      count *= 2
    }
    return counts + [most]
  }

  /// As many images on each rank, however many ranks there are.
  var growing: [[String]] {
    [["ranks", "images", "computing ms", "all-reduce ms", "waiting ms", "step ms", "images/s", "efficiency"]]
      + counts(upTo: ranks).map { count in
        let step = training.step(ranks: count, images: Double(batch))
        return ["\(count)", "\(count * batch * training.options.accumulation)", Self.milliseconds(step.computing)]
          + [Self.milliseconds(step.reducing), Self.milliseconds(step.waiting), Self.milliseconds(step.total)]
          + [Self.number(Double(count * batch * training.options.accumulation) / step.total)]
          + [Self.percent(training.efficiency(ranks: count, images: Double(batch)))]
      }
  }

  /// The same images, divided among more and more ranks.
  var dividing: [[String]] {
    let most = min(max(ranks, 2 * training.mostUsefulRanks(images: total)), total)
    return [["ranks", "images a rank", "computing ms", "waiting ms", "step ms", "images/s", "efficiency"]]
      + counts(upTo: most).filter { total % $0 == 0 }.map { count in
        let images = Double(total / count)
        let step = training.step(ranks: count, images: images)
        return ["\(count)", "\(total / count)", Self.milliseconds(step.computing), Self.milliseconds(step.waiting)]
          + [Self.milliseconds(step.total), Self.number(Double(total * training.options.accumulation) / step.total)]
          + [Self.percent(training.efficiency(ranks: count, images: images))]
      }
  }

  /// Where more ranks no longer help.
  var end: String {
    let most = training.mostUsefulRanks(images: total)
    return most == total
      ? "even with one image on each of \(total) ranks, more than half of the time is spent computing"
      : "on more than \(most) ranks, a batch of \(total) in all spends less than half of the time computing"
  }

  /// Sets of options, from the largest memory on.
  static let variants: [(name: String, options: @Sendable (inout ParallelTraining.Options) -> Void)] = [
    ("float32", { _ in }),
    ("--share-moments", { $0.sharesMoments = true }),
    ("--recompute", { $0.recomputes = true }),
    (
      "--recompute --share-moments",
      {
        $0.recomputes = true
        $0.sharesMoments = true
      }
    ),
    (
      "--recompute --share-moments --gradients bf16",
      {
        $0.recomputes = true
        $0.sharesMoments = true
        $0.storage = OptimizerStorage(gradients: .bf16)
      }
    ),
    (
      "--recompute --gradients bf16 --moments int8",
      {
        $0.recomputes = true
        $0.storage = OptimizerStorage(gradients: .bf16, moments: .int8)
      }
    ),
  ]

  /// The training with other options.
  private func variant(_ change: (inout ParallelTraining.Options) -> Void) -> ParallelTraining {
    var options = ParallelTraining.Options()
    options.accumulation = training.options.accumulation
    change(&options)
    return ParallelTraining(training.cost, on: training.machine, options)
  }

  /// Memory of a rank, by options of `mvar train`.
  var memory: [[String]] {
    [["options", "weights MB", "gradients MB", "moments MB", "activations MB", "peak MB", "largest --batch"]]
      + Self.variants.map { name, change in
        let training = variant(change)
        let bytes = training.memory(ranks: ranks, images: batch)
        let largest = training.largestBatch(ranks: ranks)
        return [name]
          + [bytes.weights, bytes.gradients, bytes.moments, bytes.activations, bytes.total].map {
            String(format: "%.0f", $0 / 1e6)
          } + [largest == 0 ? "none" : "\(largest)"]
      }
  }

  private static func milliseconds(_ seconds: Double) -> String { number(1000 * seconds) }

  private static func percent(_ share: Double) -> String { String(format: "%.0f %%", 100 * share) }

  private static func megabytes(_ bytes: Double) -> String { String(format: "%.1f MB", bytes / 1e6) }

  /// Three digits, or all before the point.
  private static func number(_ value: Double) -> String {
    value == value.rounded() && value < 1e6
      ? String(Int(value))
      : String(format: value < 1 ? "%.3f" : value < 10 ? "%.2f" : value < 100 ? "%.1f" : "%.0f", value)
  }

  // MARK: JSON

  /// The numbers of the tables, without rounding.
  struct Contents: Encodable {
    struct Step: Encodable {
      let ranks: Int
      let imagesPerRank: Int
      let computing: Double
      let allReduce: Double
      let waiting: Double
      let total: Double
      let efficiency: Double
    }

    struct Memory: Encodable {
      let options: String
      let weights: Double
      let gradients: Double
      let moments: Double
      let activations: Double
      let peak: Double
      let largestBatch: Int
    }

    let attention: String
    let ranks: Int
    let gradientBytes: Double
    let sentBytes: Double
    /// Seconds, with as many images on each rank.
    let growing: [Step]
    /// Seconds, with the same images on all ranks together.
    let dividing: [Step]
    let mostUsefulRanks: Int
    /// Bytes.
    let memory: [Memory]
  }

  var contents: Contents {
    func step(_ count: Int, _ images: Int) -> Contents.Step {
      let step = training.step(ranks: count, images: Double(images))
      return Contents.Step(
        ranks: count, imagesPerRank: images, computing: step.computing, allReduce: step.reducing,
        waiting: step.waiting, total: step.total,
        efficiency: training.efficiency(ranks: count, images: Double(images)))
    }
    let useful = training.mostUsefulRanks(images: total)
    return Contents(
      attention: training.cost.trajectory.pattern.rawValue, ranks: ranks, gradientBytes: training.gradientBytes,
      sentBytes: training.sentBytes(ranks: ranks), growing: counts(upTo: ranks).map { step($0, batch) },
      dividing: counts(upTo: min(max(ranks, 2 * useful), total)).filter { total % $0 == 0 }.map {
        step($0, total / $0)
      },
      mostUsefulRanks: useful,
      memory: Self.variants.map { name, change in
        let training = variant(change)
        let bytes = training.memory(ranks: ranks, images: batch)
        return Contents.Memory(
          options: name, weights: bytes.weights, gradients: bytes.gradients, moments: bytes.moments,
          activations: bytes.activations, peak: bytes.total, largestBatch: training.largestBatch(ranks: ranks))
      })
  }
}
