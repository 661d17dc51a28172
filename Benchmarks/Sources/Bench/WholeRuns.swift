// Rows of whole programs, from their start to the image they write: `mvar` beside the peers' scripts.

import BenchReport
import Foundation

/// A program that takes part in a row.
private struct Contestant {
  var entry: Entry
  let program: String
  let arguments: [String]
  /// What must exist before it runs.
  var preparation: [String] = []
}

/// Measures whole programs.
struct WholeRuns {
  let setting: Setting

  /// All rows that are wanted; each is shown once it is measured.
  func rows(_ show: (Row) -> Void) {
    for (precision, aim) in [(.float32, 0.55), (.bf16, nil), (.int8, nil)] as [(Precision, Double?)] {
      sampleRow(4, precision, aim: aim).map(show)
    }
    for (precision, aim) in [(.float32, 0.70), (.bf16, 0.70), (.int8, nil)] as [(Precision, Double?)] {
      sampleRow(1, precision, memoryAim: aim).map(show)
    }
    emoji().map(show)
    inspect().map(show)
  }

  /// `mvar sample` with seeded d16; one image is measured once, for its memory.
  private func sampleRow(_ count: Int, _ precision: Precision, aim: Double? = nil, memoryAim: Double? = nil) -> Row? {
    let name = "whole-sample-\(count)"
    guard setting.options.wants(name) else { return nil }
    let row = Row(
      name: name, title: "whole `mvar sample`, \(count) image\(count == 1 ? "" : "s"), start to PNG", precision,
      aim: aim, memoryAim: memoryAim)
    // Weights are read from a file in the precision of the products where there is one; without peers nobody writes it.
    let ending = precision == .bf16 ? "-bf16" : ""
    let model =
      setting.python == nil
      ? ["--model", "seeded:d16"]
      : ["--model", "\(setting.files)/d16\(ending).pth", "--tokenizer", "\(setting.files)/vae.pth"]
    let arguments =
      ["sample"] + model + [
        "--class", "207", "--count", "\(count)", "--batch", "\(count)", "--cfg", "2.7", "--top-k", "900", "--top-p",
        "0.96", "--threads", "\(setting.threads)", "-o", "\(setting.files)/here.png",
      ]
    let ours = here(precision, setting.threads, arguments, ["checkpoints"])
    let theirs = peers(.sample, precision) { peer in
      ["sample", peer.name, "\(setting.threads)", setting.files, "\(count)", "\(setting.files)/peer.png"]
    }
    return measure(row, [ours] + theirs, rounds: count == 1 ? 1 : setting.options.rounds)
  }

  /// Eight images of each class of the model that ships, with all threads and with one.
  private func emoji() -> Row? {
    guard setting.options.wants("emoji-96") else { return nil }
    let row = Row(name: "emoji-96", title: "96 emoji, start to PNG", .float32, aim: 0.55)
    let arguments = ["sample", "--count", "8", "-o", "\(setting.files)/here.png", "--threads"]
    let ours = Set([setting.threads, 1]).sorted(by: >).map { here(.float32, $0, arguments + ["\($0)"], []) }
    let theirs = peers(.emoji, .float32) { peer in
      ["emoji", peer.name, "\(setting.threads)", "8", "\(setting.files)/peer.png"]
    }
    return measure(row, ours + theirs, rounds: setting.options.rounds)
  }

  /// `mvar inspect` of a checkpoint beside PyTorch's reading of it, by a clock that excludes imports.
  private func inspect() -> Row? {
    guard setting.options.wants("inspect"), setting.python != nil else { return nil }
    let row = Row(name: "inspect", title: "`mvar inspect` of a `.pth` vs. `torch.load`", .float32, aim: 0.05)
    let path = "\(setting.files)/d16.pth"
    let ours = Contestant(
      entry: Entry(Contest.name(.float32), isHere: true, .float32, threads: setting.threads), program: setting.mvar,
      arguments: ["inspect", path], preparation: ["checkpoints"])
    let theirs = peers(.operation, .float32) { _ in ["load", setting.files] }
    return measure(row, [ours] + theirs, rounds: setting.options.rounds, ownClock: true)
  }

  private func here(_ precision: Precision, _ threads: Int, _ arguments: [String], _ preparation: [String])
    -> Contestant
  {
    // A program that knows one precision only has no such option for it.
    Contestant(
      entry: Entry(Contest.name(precision), isHere: true, precision, threads: threads), program: setting.mvar,
      arguments: arguments + (precision == .float32 ? [] : ["--precision", precision.rawValue]),
      preparation: preparation)
  }

  private func peers(_ kind: Peer.Kind, _ precision: Precision, _ arguments: (Peer) -> [String]) -> [Contestant] {
    guard let python = setting.python else { return [] }
    return Peer.of(kind, precision).map { peer in
      Contestant(
        entry: Entry(peer.title, isHere: false, precision, threads: setting.threads), program: python,
        arguments: [setting.script] + arguments(peer),
        preparation: (kind == .emoji ? [] : ["checkpoints"]) + (peer.preparation.map { [$0] } ?? []))
    }
  }

  /// Runs the programs in turn; the first round is a warm-up.
  ///
  /// - Parameter ownClock: peers print the seconds of what is compared, and not those of their imports.
  private func measure(_ row: Row, _ contestants: [Contestant], rounds: Int, ownClock: Bool = false) -> Row {
    var (row, contestants) = (row, contestants)
    for round in 0...rounds {
      for i in contestants.indices {
        let index = (i + round) % contestants.count
        guard contestants[index].entry.failure == nil else { continue }
        do {
          for part in contestants[index].preparation { try setting.prepare(part) }
          let finished = try run(contestants[index].program, contestants[index].arguments)
          guard round > 0 else { continue }
          let printed = finished.output.split(whereSeparator: \.isWhitespace).last.flatMap { Double($0) }
          let isPeer = !contestants[index].entry.isHere
          contestants[index].entry.seconds.append(ownClock && isPeer ? printed ?? .nan : finished.seconds)
          if !ownClock {
            contestants[index].entry.peakMemory = max(
              contestants[index].entry.peakMemory ?? 0, finished.peakMemory)
            if isPeer { contestants[index].entry.imports = printed }
          }
        } catch {
          contestants[index].entry.failure = "\(error)"
        }
      }
    }
    row.entries = contestants.map(\.entry)
    return row
  }
}
