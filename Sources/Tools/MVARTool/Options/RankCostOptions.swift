// The options of `mvar flops --ranks`: the speeds of a machine, and how the model is trained on it.

import ArgumentParser
import MVARTraining

/// Ranks, what each of them has, and the options of `mvar train` that change how long a step takes.
struct RankCostOptions: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Instead, what a training costs on this many processes (see mpirun -n).",
      discussion: "Times, what travels, and memory; --batch is then of each of them, as in mvar train."))
  var ranks: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "What each rank sends to the next one in a second while it receives as much, in GB (10⁹ bytes).",
      discussion: "With --ranks. The bus bandwidth that nccl-tests prints, or that of the network."))
  var link: Double?

  @Option(
    parsing: .unconditional,
    help: "What products of a training reach on each rank, in TFLOP/s, two for a multiply-accumulate (default: 40).")
  var rate: Double?

  @Option(parsing: .unconditional, help: "The memory of each rank in GiB (default: 24).")
  var memory: Double?

  @Option(parsing: .unconditional, help: "Micro-batches per step, after which gradients travel once (default: 1).")
  var accumulate: Int?

  @Flag(help: "As mvar train: each rank keeps a part of AdamW's moments only.")
  var shareMoments = false

  @Flag(help: "As mvar train: blocks run again in the backward.")
  var recompute = false

  func validate() throws {
    guard let ranks else {
      let given = [
        ("--link", link != nil), ("--rate", rate != nil), ("--memory", memory != nil),
        ("--accumulate", accumulate != nil), ("--share-moments", shareMoments), ("--recompute", recompute),
      ]
      if let name = given.first(where: { $0.1 })?.0 {
        throw ValidationError("\(name) is about processes that train together; say how many with --ranks")
      }
      return
    }
    try Arguments.check("--ranks", ranks, in: 1...1_000_000)
    try Arguments.check("--accumulate", accumulate, in: 1...65536)
    guard link != nil else {
      throw ValidationError("--ranks needs --link, the GB that a rank sends in a second, such as 1.25 for 10 Gbit/s")
    }
    for (name, value) in [("--link", link), ("--rate", rate), ("--memory", memory)] {
      guard let value else { continue }
      guard value >= 1e-6, value <= 1e9 else {
        throw ValidationError("\(name) is \(value); use a number from 0.000001 to 1000000000")
      }
    }
  }

  /// What each rank has.
  var machine: ParallelTraining.Machine {
    ParallelTraining.Machine(rate: (rate ?? 40) * 1e12, link: (link ?? 0) * 1e9, memory: (memory ?? 24) * 0x1p30)
  }

  /// How it is trained.
  var options: ParallelTraining.Options {
    var options = ParallelTraining.Options()
    options.accumulation = accumulate ?? 1
    options.sharesMoments = shareMoments
    options.recomputes = recompute
    return options
  }
}
