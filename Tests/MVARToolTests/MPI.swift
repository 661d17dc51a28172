// The mpirun of each MPI that is installed, with which tests start the built program several times.

import Foundation
import MVARTestSupport
import Testing

/// An mpirun and the options with which it starts more processes than there are processors, also as root.
struct MPI: CustomTestStringConvertible, Sendable {
  let program: String
  let options: [String]
  /// A library of the other MPI.
  let otherLibrary: String

  var testDescription: String { program }

  static let all = [
    MPI(
      program: "/usr/bin/mpirun.openmpi", options: ["--oversubscribe", "--bind-to", "none"],
      otherLibrary: "libmpich.so.12"),
    MPI(program: "/usr/bin/mpirun.mpich", options: [], otherLibrary: "libmpi.so.40"),
  ].filter { access($0.program, X_OK) == 0 }

  static let environment = [
    "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "PATH": "/usr/bin:/bin",
    "OPENBLAS_NUM_THREADS": "1",
  ]

  /// Runs the program on some ranks.
  func run(_ ranks: Int, _ arguments: [String], in folder: String, with variables: [String: String] = [:]) throws
    -> Tool.Result
  {
    try BuiltProgram.run(
      program, options + ["-n", "\(ranks)", Tool.program] + arguments, in: folder,
      environment: Self.environment.merging(variables) { $1 })
  }

  /// Runs the program on two ranks, each with arguments, and in a folder, of its own.
  func run(_ first: [String], _ second: [String], in folders: (String, String)) throws -> Tool.Result {
    try BuiltProgram.run(
      program,
      options + ["-n", "1", "-wdir", folders.0, Tool.program] + first
        + [":", "-n", "1", "-wdir", folders.1, Tool.program] + second, in: folders.0, environment: Self.environment)
  }
}

extension Tool.Result {
  /// The sentences of the program itself among what mpirun says.
  var sentences: [String] {
    errors.split(separator: "\n").map(String.init).filter { $0.hasPrefix("mvar: ") }
  }
}
