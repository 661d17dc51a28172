// The processes of this run: one, or those that mpirun has started. A command that works on several ranks joins them before
// anything else; all others refuse to be several.

import ArgumentParser
import Foundation
import MVARCollectives
import MVARFiles
import MVARTraining
import Synchronization
import TensorCore

/// The processes that run this command together.
enum Ranks {
  private struct State: Sendable {
    var mpi: MPICollectives?
    var agreed: [String: Bool] = [:]
  }

  private static let state = Mutex(State())
  private static let launcher = MPILauncher(ProcessInfo.processInfo.environment)

  /// The processes of this run; this one alone unless `join` found others.
  static var current: any Collectives { state.withLock { $0.mpi } ?? SingleProcess() }

  /// Whether this process writes results and notes.
  static var isRoot: Bool { state.withLock { $0.mpi?.isRoot } ?? true }

  /// Whether mpirun has started this process as the first one, or nothing has; known before the processes are joined.
  static var isFirst: Bool { launcher.map { $0.rank == 0 } ?? true }

  /// Joins the processes that mpirun has started, if it has.
  ///
  /// - Throws: `Failure` with the reason why that is not possible.
  static func join() throws {
    guard let launcher else { return }
    do {
      let mpi = try MPICollectives(launcher)
      state.withLock { $0.mpi = mpi }
    } catch {
      throw Failure("\(error)")
    }
  }

  /// Refuses to be one of several processes, which would all do the same.
  static func refuseOthers(_ command: String) throws {
    guard let launcher = launcher, launcher.count > 1 else { return }
    throw Failure(
      "\(launcher.name) has started \(launcher.count) processes, and mvar \(command) runs as one; train, train-tokenizer, "
        + "sample, evaluate, cache and encode share their work")
  }

  /// The answer of the first rank to a question about files, asked once by all.
  static func agreed(_ question: String, _ answer: () -> Bool) -> Bool {
    if let known = state.withLock({ $0.agreed[question] }) { return known }
    let ranks = current
    do {
      let found = try ranks.answer(ranks.isRoot && answer())
      state.withLock { $0.agreed[question] = found }
      return found
    } catch {
      Console.complain("\(error)")
      ranks.abort(status: 1)
    }
  }

  /// Refuses ranks that differ in what determines the results.
  ///
  /// - Throws: `Failure` that names the first difference, on every rank.
  static func checkSame(_ settings: some RunSettings) throws {
    let ranks = current
    guard ranks.count > 1 else { return }
    try checkVersions(ranks)
    let texts = try ranks.texts(try StoredSettings(settings).json)
    let differences = try texts.map { text -> String? in
      guard let stored = StoredSettings(text: text), let first = StoredSettings(text: texts[0]) else { return nil }
      return try stored.firstDifference(from: first, of: type(of: settings))
    }
    if let other = differences.indices.first(where: { differences[$0] != nil }), let difference = differences[other] {
      throw Failure("rank \(other) differs from rank 0 in \(difference)")
    }
  }

  /// Refuses ranks that were started with other arguments, or found other files under the same names. `--threads` may differ.
  ///
  /// - Parameter files: what was read, each with something that is the same only for the same contents.
  /// - Throws: `Failure` that names the first difference, on every rank.
  static func checkSame(_ files: () throws -> [(name: String, contents: String)]) throws {
    let ranks = current
    guard ranks.count > 1 else { return }
    try checkVersions(ranks)
    let arguments = try ranks.texts(Self.arguments.joined(separator: "\0")).map {
      $0.split(separator: "\0", omittingEmptySubsequences: false).map(String.init)
    }
    if let difference = difference(arguments) { throw Failure(difference) }
    let files = try files()
    let contents = try ranks.texts(files.map(\.contents).joined(separator: "\0")).map {
      $0.split(separator: "\0", omittingEmptySubsequences: false).map(String.init)
    }
    for (place, file) in files.enumerated() {
      if let other = contents.indices.first(where: { contents[$0][place] != contents[0][place] }) {
        throw Failure("rank \(other) differs from rank 0 in the contents of \(file.name)")
      }
    }
  }

  /// The program's arguments that determine results.
  private static var arguments: [String] {
    var arguments = Array(((try? ProgramArguments.all()) ?? []).dropFirst())
    while let place = arguments.firstIndex(of: "--threads") {
      arguments.removeSubrange(place..<min(place + 2, arguments.count))
    }
    return arguments.filter { !$0.hasPrefix("--threads=") }
  }

  /// The first difference among the arguments of ranks.
  static func difference(_ arguments: [[String]]) -> String? {
    guard let other = arguments.indices.first(where: { arguments[$0] != arguments[0] }) else { return nil }
    let places = 0..<max(arguments[0].count, arguments[other].count)
    func argument(_ rank: Int, _ place: Int) -> String? {
      place < arguments[rank].count ? arguments[rank][place] : nil
    }
    let place = places.first { argument(other, $0) != argument(0, $0) } ?? 0
    func text(_ rank: Int) -> String { argument(rank, place).map { printable($0, limit: 200) } ?? "none" }
    return "rank \(other) differs from rank 0 in argument \(place + 1): \(text(other)) and \(text(0))"
  }

  private static func checkVersions(_ ranks: any Collectives) throws {
    let versions = try ranks.texts(Version.current)
    if let other = versions.indices.first(where: { versions[$0] != versions[0] }) {
      throw Failure("rank \(other) is mvar \(versions[other]), and rank 0 is \(versions[0])")
    }
    let commands = try ranks.texts(arguments.first ?? "")
    if let other = commands.indices.first(where: { commands[$0] != commands[0] }) {
      throw Failure("rank \(other) runs mvar \(commands[other]), and rank 0 mvar \(commands[0])")
    }
  }

  /// Divides the processors of a machine among its ranks, unless the launcher has done so.
  static func shareProcessors(_ threads: Int?) throws {
    guard threads == nil, let mpi = state.withLock({ $0.mpi }), mpi.localCount > 1 else { return }
    let online = Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    if ThreadCount.current >= online { ThreadCount.current = max(1, ThreadCount.current / mpi.localCount) }
  }

  /// Leaves the others at the end of a command that all have finished.
  static func leave() {
    state.withLock { $0.mpi }?.finish()
  }

  /// Ends all ranks after an error on this one, also before they are joined.
  static func fail(_ sentence: String, status: Int32) -> Never {
    let mpi = state.withLock { $0.mpi }
    guard let launcher, launcher.count > 1 else {
      Console.complain(sentence)
      Foundation.exit(status)
    }
    // All may have met the same error: the first one reports it, and the others are ended before it is their turn.
    let rank = mpi?.rank ?? launcher.rank
    if rank > 0 { Thread.sleep(forTimeInterval: min((mpi == nil ? 2 : 0.5) + 0.25 * Double(rank), 10)) }
    Console.complain(rank == 0 ? sentence : "rank \(rank): \(sentence)")
    // What mpirun has not read of a process's output when it ends the process may be lost.
    Thread.sleep(forTimeInterval: 0.2)
    if let mpi { mpi.abort(status: status) }
    launcher.abort(status: status)
  }
}
