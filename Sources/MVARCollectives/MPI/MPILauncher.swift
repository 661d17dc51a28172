// Who started this process: MPI's mpirun leaves the number of processes in the environment, under names of its own. Without
// them the process is alone, and no library is looked for.

import Foundation
import MVARFiles

/// What an mpirun says of itself in the environment.
package struct MPILauncher: Hashable, Sendable {
  /// The interface of a family of libraries.
  package enum Interface: Hashable, Sendable {
    /// Handles are addresses of symbols.
    case openMPI
    /// Handles are integers; also of Intel MPI and MVAPICH.
    case mpich
  }

  /// Whose mpirun it is.
  package let interface: Interface
  /// How many processes it started.
  package let count: Int
  /// The number of this one, from 0.
  package let rank: Int

  /// Its name in sentences.
  package var name: String { interface == .openMPI ? "Open MPI's mpirun" : "MPICH's mpirun" }

  /// The names of its library, best first.
  package var libraryNames: [String] {
    interface == .openMPI
      ? ["libmpi.so.40", "libmpi.so"] : ["libmpich.so.12", "libmpi.so.12", "libmpich.so", "libmpi.so"]
  }

  /// Known by the environment of the process; nil for a process that no mpirun has started.
  package init?(_ environment: [String: String]) {
    func number(_ name: String) -> Int? { environment[name].flatMap { Int($0) } }
    if let count = number("OMPI_COMM_WORLD_SIZE") {
      (interface, self.count, rank) = (.openMPI, count, number("OMPI_COMM_WORLD_RANK") ?? 0)
    } else if let rank = number("PMI_RANK"), let count = number("PMI_SIZE") {
      (interface, self.count, self.rank) = (.mpich, count, rank)
    } else {
      return nil
    }
  }

  /// Ends all processes from one that cannot join them: Open MPI's mpirun does that when a process ends with an error, MPICH's
  /// when it is told to, or when a signal has ended a process.
  package func abort(status: Int32) -> Never {
    if interface == .mpich {
      if let channel = ProcessInfo.processInfo.environment["PMI_FD"].flatMap({ Int32($0) }) {
        try? Descriptor.writeAll(Array("cmd=abort exitcode=\(status)\n".utf8), to: channel)
        Thread.sleep(forTimeInterval: 2)
      }
      signal(SIGTERM, SIG_DFL)
      kill(getpid(), SIGTERM)
    }
    exit(status)
  }

  /// The launcher of an interface, for tests and lists of what there is.
  package init(_ interface: Interface, count: Int) {
    self.interface = interface
    self.count = count
    rank = 0
  }
}
