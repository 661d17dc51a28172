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

/// The precision of products, by its name on the command line.
enum Precision: String, CaseIterable, ExpressibleByArgument {
  case float32
  case tf32
  case bf16
  case int8

  /// The cuda engine's own value; nil where it has none.
  var ofProducts: CUDAEngine.Precision? {
    switch self {
    case .float32: .float32
    case .tf32: .tf32
    case .bf16: .bfloat16
    case .int8: nil
    }
  }

  /// How the cpu engine keeps the weights of linear layers; nil where it has no such precision.
  var ofWeights: WeightFormat? { WeightFormat(rawValue: rawValue) }
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
  /// Where the cpu engine can run this command in less than float32, and why not elsewhere.
  static var precisions: CPUPrecisions { get }
  /// Whether several processes share the work of this command.
  static var isForRanks: Bool { get }
}

/// What a command does in less than float32 on the cpu engine.
enum CPUPrecisions {
  /// It keeps the weights of linear layers in short numbers.
  case shortWeights
  /// It trains: bf16 rounds the factors of products, and weights stay in float32.
  case training
  /// Nothing, for a reason as it ends a sentence.
  case float32Only(String)

  /// Why a precision is refused; nil where it is not.
  func refusal(of precision: Precision) -> String? {
    switch self {
    case .shortWeights: nil
    case .training:
      precision == .int8 ? "rounding to integers has no gradient, so that nothing could be learned; use bf16" : nil
    case .float32Only(let reason): precision == .float32 ? nil : reason
    }
  }
}

extension CPUPrecisions {
  static let tokenizer = CPUPrecisions.float32Only(
    "a tokenizer has no linear layers, only convolutions, which the cpu engine computes in float32")
  static let judging = CPUPrecisions.float32Only("golden values are judged by what float32 can reach")
  static let measuring = CPUPrecisions.float32Only("it measures what attention costs, in float32")
}

extension EngineCommand {
  /// Most commands run as one process.
  static var isForRanks: Bool { false }

  /// Nothing to check.
  func checkOutputs() throws {}

  /// Finds the engine before anything else, and runs the work on it.
  mutating func run() throws {
    if Self.isForRanks { try Ranks.join() } else { try Ranks.refuseOthers(Self._commandName) }
    let threads = self.engine.threads
    let engine = try engine.open(for: Self.precisions)
    try Ranks.shareProcessors(threads)
    try checkOutputs()
    try engine.run(self)
  }
}

/// An engine that was found and can run work.
enum Engine {
  case cpu(WeightFormat)
  /// The cpu engine with products in bf16 for training.
  case mixed
  case reference
  case cuda(CUDAEngine)

  /// Runs a task.
  func run<Task: EngineTask>(_ task: Task) throws -> Task.Output {
    switch self {
    case .cpu(let weights): try task.run(on: CPU<Float>.self, device: LocalDevice(weights: weights))
    case .mixed: try task.run(on: MixedCPU.self, device: LocalDevice())
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
      "The precision of matrix products: float32, bf16, on cpu also int8, on cuda also tf32.",
      discussion:
        """
        Default: float32, the only one of reference. On cpu, bf16 and int8 are for transformers: weights of linear layers \
        take a half or a quarter of the memory; in training, bf16 only rounds what is multiplied. Sums stay in float32 or \
        are exact.
        """))
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
    if let precision {
      let others: String? =
        switch device {
        case .cpu: precision.ofWeights == nil ? "cuda; the cpu engine has float32, bf16 and int8" : nil
        case .cuda: precision.ofProducts == nil ? "cpu; the cuda engine has float32, tf32 and bf16" : nil
        case .reference: "cpu or cuda; the reference engine has one precision only"
        }
      if let others { throw ValidationError("--precision \(precision.rawValue) is for --device \(others)") }
    }
    if let products, device != .cuda {
      throw ValidationError(
        "--products \(products.rawValue) is for --device cuda; the \(device.rawValue) engine multiplies in one way only"
      )
    }
  }

  /// Finds the chosen engine; commands do this before anything else.
  ///
  /// - Parameter precisions: what the command does in less than float32 on the cpu engine.
  /// - Throws: `ValidationError` for a precision in which it does not run, `Failure` with the reason why there is no such
  ///   engine.
  func open(for precisions: CPUPrecisions) throws -> Engine {
    if device == .cpu, let precision, let reason = precisions.refusal(of: precision) {
      throw ValidationError("--precision \(precision.rawValue) is not for this command: \(reason)")
    }
    if let threads { ThreadCount.current = threads }
    switch device {
    case .cpu:
      if case .training = precisions { return precision == .bf16 ? .mixed : .cpu(.float32) }
      return .cpu(precision?.ofWeights ?? .float32)
    case .reference: return .reference
    case .cuda:
      do {
        return .cuda(
          try CUDAEngine(
            ordinal: Ranks.gpu(), precision: (precision ?? .float32).ofProducts ?? .float32,
            products: products ?? .own))
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
