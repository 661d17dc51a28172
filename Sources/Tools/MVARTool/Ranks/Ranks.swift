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

  /// The processes of this run; this one alone unless `join` found others.
  static var current: any Collectives { state.withLock { $0.mpi } ?? SingleProcess() }

  /// Whether this process writes results and notes.
  static var isRoot: Bool { state.withLock { $0.mpi?.isRoot } ?? true }

  /// Joins the processes that mpirun has started, if it has.
  ///
  /// - Throws: `Failure` with the reason why that is not possible.
  static func join() throws {
    guard let launcher = MPILauncher(ProcessInfo.processInfo.environment) else { return }
    do {
      let mpi = try MPICollectives(launcher)
      state.withLock { $0.mpi = mpi }
    } catch {
      throw Failure("\(error)")
    }
  }

  /// Refuses to be one of several processes, which would all do the same.
  static func refuseOthers(_ command: String) throws {
    guard let launcher = MPILauncher(ProcessInfo.processInfo.environment), launcher.count > 1 else { return }
    throw Failure(
      "\(launcher.name) has started \(launcher.count) processes, and mvar \(command) runs as one; train, train-tokenizer "
        + "and sample share their work")
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
    let versions = try ranks.texts(Version.current)
    if let other = versions.indices.first(where: { versions[$0] != versions[0] }) {
      throw Failure("rank \(other) is mvar \(versions[other]), and rank 0 is \(versions[0])")
    }
    let texts = try ranks.texts(try StoredSettings(settings).json)
    let differences = try texts.map { text -> String? in
      guard let stored = StoredSettings(text: text), let first = StoredSettings(text: texts[0]) else { return nil }
      return try stored.firstDifference(from: first, of: type(of: settings))
    }
    if let other = differences.indices.first(where: { differences[$0] != nil }), let difference = differences[other] {
      throw Failure("rank \(other) differs from rank 0 in \(difference)")
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

  /// Ends all ranks after an error on this one.
  static func fail(_ sentence: String, status: Int32) -> Never {
    guard let mpi = state.withLock({ $0.mpi }), mpi.count > 1 else {
      Console.complain(sentence)
      Foundation.exit(status)
    }
    // All may have met the same error, and the first one reports it.
    if !mpi.isRoot { Thread.sleep(forTimeInterval: 0.5) }
    Console.complain(mpi.isRoot ? sentence : "rank \(mpi.rank): \(sentence)")
    mpi.abort(status: status)
  }
}
