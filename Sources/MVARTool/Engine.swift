// Which engine computes. Every subcommand's text is generic over the engine and written once; this is the one place where
// a name from the command line becomes a type.

import ArgumentParser
import MVARCUDA
import TensorCore

/// An engine by its name on the command line.
enum Device: String, CaseIterable, ExpressibleByArgument {
  case cpu
  case reference
  case cuda
}

/// The device of the engines in this process; Foundation has a `HostDevice` of its own.
typealias LocalDevice = HostDevice

/// Work that any engine in this process can do.
protocol EngineTask {
  associatedtype Output
  /// Does the work on an engine.
  func run<B: Backend>(_ engine: B.Type) throws -> Output where B.Device == LocalDevice
}

/// The options that choose the engine.
struct EngineOptions: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: "What computes: cpu (fast), reference (plain loops, slow), cuda (a GPU; see mvar devices).")
  var device = Device.cpu

  @Option(parsing: .unconditional, help: "How many threads the cpu engine uses (default: one per processor).")
  var threads: Int?

  func validate() throws {
    try Arguments.check("--threads", threads, in: 1...1024)
  }

  /// Runs a task on the chosen engine.
  func run<Task: EngineTask>(_ task: Task) throws -> Task.Output {
    if let threads { ThreadCount.current = threads }
    switch device {
    case .cpu: return try task.run(CPU<Float>.self)
    case .cuda: throw noCUDA()
    case .reference: return try task.run(Reference<Float>.self)
    }
  }

  /// Runs a task on the chosen engine, where `reference` is the double-precision one: the truth.
  func runAsTruth<Task: EngineTask>(_ task: Task) throws -> Task.Output {
    device == .reference ? try task.run(Reference<Double>.self) : try run(task)
  }

  /// Checks that there is such an engine, for commands that do much before they compute.
  ///
  /// - Throws: `Failure` with the reason.
  func check() throws {
    if device == .cuda { throw noCUDA() }
  }

  /// Why nothing can be computed on a GPU.
  private func noCUDA() -> Failure {
    do {
      let engine = try CUDAEngine()
      return Failure(
        "--device cuda: there is a GPU (\(engine.device.properties.name)), but this command does not compute on it yet; "
          + "use cpu or reference")
    } catch {
      return Failure("--device cuda: \(error)")
    }
  }
}
