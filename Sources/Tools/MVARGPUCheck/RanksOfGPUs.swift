// `gpu-check nccl`: sums, parts and broadcasts by NCCL, each rank a process of its own. There is no mpirun on such a
// machine: the bytes that identify a communicator go through a file.
//
// One rank alone first, for which every operation is the identity. Then two: on two GPUs they must be right; with one GPU
// NCCL is expected to refuse them, and what it says is reported. No rank can wait for ever: the process that starts them
// stops them.

import ArgumentParser
import Foundation
import MVARCUDA
import MVARTool
import MVARVerification

struct RanksOfGPUs: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "nccl", abstract: "Check and time what GPUs do together by NCCL, as one rank and as two.",
    discussion: """
      Ends with status 77 if NCCL is not found (MVAR_NCCL names its file). Two ranks need two GPUs; with one, what NCCL \
      says is reported.
      """)

  @OptionGroup var device: DeviceOptions
  @Option(help: "After how many seconds ranks that have not ended are stopped.") var patience = 30.0

  @Option(help: .hidden) var rank: Int?
  @Option(help: .hidden) var ranks = 1
  @Option(help: .hidden) var identifier: String?

  func run() throws {
    if let rank, let identifier {
      return try RankOfGPUs(device: device, rank: rank, count: ranks, identifier: identifier, patience: patience).run()
    }
    let section = "NCCL"
    let library: NCCL
    do {
      library = try device.nccl()
    } catch {
      progress("\(error)")
      throw ExitCode(77)
    }
    Measurement(section, "library", "here", "\(library.name), version \(library.version)").report()
    let gpus = try device.deviceCount()
    Measurement(section, "GPUs", "here", "\(gpus)").report()
    let alone = try start(1)
    if let failure = alone.failure { throw Failure("one rank: \(failure)") }
    let two = try start(2)
    if gpus > 1 {
      if let failure = two.failure { throw Failure("two ranks: \(failure)") }
    } else {
      Measurement(section, "two ranks on one GPU", "here", two.failure ?? "accepted, and right").report()
    }
  }

  /// How a group of ranks ended.
  private struct Outcome {
    /// Why not all were right; nil if they were.
    var failure: String?
  }

  /// Starts ranks, prints what they report, and waits until they end or have to be stopped.
  private func start(_ count: Int) throws -> Outcome {
    progress("\(count) \(count == 1 ? "rank" : "ranks")")
    let folder = FileManager.default.temporaryDirectory.appending(path: "gpu-check-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appending(path: "identifier").path(percentEncoded: false)
    let program = try Self.program()
    let deadline = ContinuousClock.now + .seconds(patience)
    let processes = try (0..<count).map { rank in
      try SupervisedProcess(
        [
          program, "nccl", "--rank", "\(rank)", "--ranks", "\(count)", "--identifier", file, "--patience",
          "\(patience)",
        ]
          + (device.emulated ? ["--emulated"] : []) + (device.small ? ["--small"] : []), isServed: true)
    }
    var outcome = Outcome()
    for (rank, process) in processes.enumerated() {
      let end = try process.wait(until: deadline)
      process.stop()
      print(process.output.text, terminator: "")
      if end == .status(0) { continue }
      let sentence = process.complaints.lastLine.map { $0.replacingOccurrences(of: "Error: ", with: "") }
      outcome.failure =
        outcome.failure
        ?? (end == nil ? "rank \(rank) had not ended after \(patience) s" : sentence ?? "rank \(rank) \(end!)")
    }
    return outcome
  }

  /// The file of this program.
  private static func program() throws -> String {
    #if os(Linux)
      return URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().path(percentEncoded: false)
    #else
      guard let url = Bundle.main.executableURL else { throw Failure("the program's own file was not found") }
      return url.path(percentEncoded: false)
    #endif
  }
}
