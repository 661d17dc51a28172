// What a rank tells the others about its GPU before they are connected, and what then stands in the way.

import Foundation

/// A rank's GPU, and the NCCL that it has found.
package struct RankGPU: Hashable, Sendable {
  /// The version of NCCL; nil for none.
  package var version: String?
  /// Why there is none.
  package var problem: String?
  /// What distinguishes this machine from others.
  package var machine: String
  /// What distinguishes the GPU from others of its machine.
  package var gpu: String

  /// A rank's GPU.
  package init(version: String?, problem: String?, machine: String, gpu: String) {
    self.version = version
    self.problem = problem
    self.machine = machine
    self.gpu = gpu
  }

  /// The number of the running kernel's start, which processes in different containers share; elsewhere the host's name.
  package static let machine: String = {
    let boot = try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)
    return boot?.trimmingCharacters(in: .whitespacesAndNewlines) ?? ProcessInfo.processInfo.hostName
  }()

  /// All of it in lines, for the other ranks.
  package var text: String {
    [version ?? "", machine, gpu, problem ?? ""].map { $0.replacingOccurrences(of: "\n", with: " ") }
      .joined(separator: "\n")
  }

  /// What another rank has sent.
  package init(text: String) {
    let lines = text.split(separator: "\n", maxSplits: 3, omittingEmptySubsequences: false).map(String.init)
    func line(_ place: Int) -> String { lines.indices.contains(place) ? lines[place] : "" }
    (version, machine, gpu) = (line(0).isEmpty ? nil : line(0), line(1), line(2))
    problem = line(3).isEmpty ? nil : line(3)
  }

  /// Why NCCL cannot connect these ranks, as the end of a sentence; nil if nothing is known to be in the way. The same on
  /// all ranks.
  package static func obstacle(_ ranks: [RankGPU]) -> String? {
    for (rank, own) in ranks.enumerated() where own.version == nil {
      let problem = own.problem ?? "NCCL was not found"
      return rank == 0 ? problem : "on rank \(rank) \(problem)"
    }
    for (rank, own) in ranks.enumerated() where own.version != ranks[0].version {
      return "rank \(rank) has NCCL \(own.version ?? "") and rank 0 \(ranks[0].version ?? "")"
    }
    for (rank, own) in ranks.enumerated() {
      let first = ranks.firstIndex { $0.machine == own.machine && $0.gpu == own.gpu } ?? rank
      if first < rank { return "ranks \(first) and \(rank) share the GPU \(own.gpu), and NCCL needs one for each" }
    }
    return nil
  }
}
