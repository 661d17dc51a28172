// Selects the engine. Every subcommand is generic over the engine and written once; this is the only place where a name
// from the command line becomes a type, and where a GPU is found before anything else is done.

import ArgumentParser
import MVAR
import MVARCUDA
import TensorCore

/// An engine by its name on the command line.
enum Device: String, CaseIterable, ExpressibleByArgument {
  case cpu
  case reference
  case cuda
}

/// The precision of products on a GPU, by its name on the command line.
enum Precision: String, CaseIterable, ExpressibleByArgument {
  case float32
  case tf32
  case bf16

  /// The engine's own value.
  var ofProducts: CUDAEngine.Precision {
    switch self {
    case .float32: .float32
    case .tf32: .tf32
    case .bf16: .bfloat16
    }
  }
}

extension CUDAEngine.Products: ExpressibleByArgument {}

/// Work that any engine can run.
protocol EngineTask {
  associatedtype Output
  /// Runs the work on an engine.
  ///
  /// - Parameter device: the device of all tensors.
  func run<B: Backend, D: EngineDevice>(on engine: B.Type, device: D) throws -> Output where B.Device == D
}

/// A subcommand that is such work.
protocol EngineCommand: ParsableCommand, EngineTask where Output == Void {
  /// The options that choose the engine.
  var engine: EngineOptions { get }
  /// Checks what can be checked before models are loaded: above all, that the results can be written.
  func checkOutputs() throws
}

extension EngineCommand {
  /// Nothing to check.
  func checkOutputs() throws {}

  /// Finds the engine before anything else, and runs the work on it.
  mutating func run() throws {
    let engine = try engine.open()
    try checkOutputs()
    try engine.run(self)
  }
}

/// An engine that was found and can run work.
enum Engine {
  case cpu
  case reference
  case cuda(CUDAEngine)

  /// Runs a task.
  func run<Task: EngineTask>(_ task: Task) throws -> Task.Output {
    switch self {
    case .cpu: try task.run(on: CPU<Float>.self, device: LocalDevice())
    case .reference: try task.run(on: Reference<Float>.self, device: LocalDevice())
    case .cuda(let engine): try task.run(on: CUDA.self, device: engine)
    }
  }

  /// Runs a task where `reference` is the double-precision engine, as the ground truth.
  ///
  /// - Parameter inDoublePrecision: whether `cpu` computes in double precision as well.
  /// - Throws: `Failure` when that is needed on a GPU, or what the task throws.
  func runAsTruth<Task: EngineTask>(_ task: Task, inDoublePrecision: Bool = false) throws -> Task.Output {
    switch self {
    case .reference: return try task.run(on: Reference<Double>.self, device: LocalDevice())
    case .cpu where inDoublePrecision: return try task.run(on: CPU<Double>.self, device: LocalDevice())
    case .cuda where inDoublePrecision:
      throw Failure("is in double precision, and the cuda engine computes in single precision; use cpu or reference")
    default: return try run(task)
    }
  }
}

/// The option of commands that sample one batch after another.
struct RecordingOptions: ParsableArguments {
  @Flag(
    help: ArgumentHelp(
      "Let the cuda engine record the launches of a batch, and replay them for later ones.",
      discussion: "Helps, if at all, with many batches of few images; needs memory; has no effect for VAR."))
  var graphs = false

  /// Refuses the option for an engine on which it has no effect.
  func check(_ engine: EngineOptions) throws {
    guard !graphs || engine.device == .cuda else {
      throw ValidationError("--graphs is for --device cuda; the \(engine.device.rawValue) engine launches nothing")
    }
  }

  /// The recordings of a sampler's launches, if requested.
  func recordings<B: Backend>(of sampler: Sampler<B>) -> SamplingRecordings<B>? {
    graphs ? SamplingRecordings(sampler) : nil
  }
}

/// The options that choose the engine.
struct EngineOptions: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: "The engine: cpu (fast), reference (plain loops, slow), cuda (a GPU; see mvar devices).")
  var device = Device.cpu

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The precision of the cuda engine's matrix products: float32, tf32 or bf16.",
      discussion: "Default: float32, as on the other engines; tf32 and bf16 are faster, and sums stay in float32."))
  var precision: Precision?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The matrix-product kernels of the cuda engine: own or cublas.",
      discussion: "Default: own; cublas uses NVIDIA's library for the products of linear layers (see mvar devices)."))
  var products: CUDAEngine.Products?

  @Option(
    parsing: .unconditional,
    help: "How many threads the cpu engine uses (default: one per processor, fewer under a container's CPU limit).")
  var threads: Int?

  func validate() throws {
    try Arguments.check("--threads", threads, in: 1...1024)
    if let precision, device != .cuda {
      throw ValidationError(
        "--precision \(precision.rawValue) is for --device cuda; the \(device.rawValue) engine has one precision only")
    }
    if let products, device != .cuda {
      throw ValidationError(
        "--products \(products.rawValue) is for --device cuda; the \(device.rawValue) engine multiplies in one way only"
      )
    }
  }

  /// Finds the chosen engine; commands do this before anything else.
  ///
  /// - Throws: `Failure` with the reason why there is none.
  func open() throws -> Engine {
    if let threads { ThreadCount.current = threads }
    switch device {
    case .cpu: return .cpu
    case .reference: return .reference
    case .cuda:
      do {
        return .cuda(try CUDAEngine(precision: (precision ?? .float32).ofProducts, products: products ?? .own))
      } catch {
        throw Failure("--device cuda: \(error)")
      }
    }
  }

  /// The options that select the same engine in another process of this program.
  var arguments: [String] {
    ["--device", device.rawValue] + (precision.map { ["--precision", $0.rawValue] } ?? [])
      + (products.map { ["--products", $0.rawValue] } ?? []) + (threads.map { ["--threads", "\($0)"] } ?? [])
  }
}
