// `mvar golden run`: a kernel in any language against the cases of the registry or of golden files, one row per tensor.

import ArgumentParser
import Foundation
import MVARComparison
import MVARFiles
import MVARTraining
import MVARVerification
import OperatorCases

extension Golden {
  struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Judge a kernel in any language.",
      usage: """
        mvar golden run [<options>] [<file> ...] -- <command> [<argument> ...]
        mvar golden run [<options>] [<file> ...] --library <file>
        """,
      discussion: """
        For each case the command is started with two more arguments, IN and OUT. IN is a safetensors file with the \
        tensors `in.NAME` and, if there is a backward, `grad_out`; its metadata hold `operator`, `attributes` (JSON), \
        `attribute.NAME` (plain text), `dtype`, `case`, and the `outputs` and `gradients` that are wanted. The command \
        writes OUT: `out` (or `out.NAME`) and `grad.NAME`, in any floating-point type. Exit status 0: the file is \
        judged; 77: not supported; anything else: that case fails, with the last line of standard error.

        With --serve the command is started once. For each line IN<TAB>OUT on its standard input it answers a line: \
        `ok`, `unsupported` or `error` and the reason. With --library a shared library is loaded in a process of its \
        own, and its `int mvar_kernel(const mvar_call *)` is called; mvar_kernel.h describes it.

        Exit status 0 if everything is within its bar, 1 if something differs, 2 if something could not be judged.

          mvar golden run --operator neighborhoodAttention -- python3 kernel.py
          mvar golden run --library ./kernel.so --operator adaptiveLayerNorm --dtype bfloat16
        """)

    @Argument(help: "Golden files of operators, format 2; the cases of the registry if there are none.")
    var files: [String] = []

    @Option(
      name: .customLong("operator"), parsing: .unconditionalSingleValue,
      help: ArgumentHelp("Only this operator; may be given several times.", valueName: "name"))
    var operators: [String] = []

    @Option(
      parsing: .unconditional,
      help: """
        The type of the tensors: \(KernelPrecision.allCases.map(\.rawValue).joined(separator: ", ")). By default that of each file, and \
        float32 for the registry.
        """)
    var dtype: KernelPrecision?

    @Option(
      parsing: .unconditional, help: ArgumentHelp("The seconds that a case may take.", valueName: "seconds"))
    var timeout = 60.0

    @Flag(help: "Start the command once, and give it a line for each case.")
    var serve = false

    @Option(parsing: .unconditional, help: ArgumentHelp("A shared library with the kernel.", valueName: "file"))
    var library: String?

    @Flag(help: "Accept a kernel without gradients.")
    var forwardOnly = false

    @OptionGroup(title: "Comparison")
    var comparison: ComparisonOptions

    @Argument(parsing: .postTerminator, help: ArgumentHelp("The command and its arguments, after `--`."))
    var command: [String] = []

    func validate() throws {
      guard command.isEmpty != (library == nil) else {
        throw ValidationError(
          command.isEmpty
            ? "no kernel is given; end with `-- COMMAND`, or use --library FILE"
            : "a kernel is either a command or a --library, not both")
      }
      if serve, library != nil { throw ValidationError("--serve is for commands; a --library always stays loaded") }
      guard timeout > 0, timeout <= 1e6 else {
        throw ValidationError("--timeout is \(timeout); use a number of seconds above 0")
      }
      for name in operators where OperatorCatalog.specification(of: name) == nil {
        throw ValidationError(
          "--operator is \"\(printable(name, limit: 60))\", which is no operator; `mvar golden list` lists them")
      }
    }

    func run() throws { try comparison.judging { try judge() } }

    private func judge() throws {
      var printer = try ComparisonPrinter(
        comparison, title: "mvar golden run", counting: "operator", keeping: files + (library.map { [$0] } ?? []))
      let interruption = Interruption(signals: [SIGINT, SIGTERM, SIGHUP])
      interruption.install()
      let progress = Progress()
      do {
        try judge(try kernel(interruption), progress, &printer)
      } catch KernelRunError.interrupted {
        progress.finish()
        throw ExitCode(128 + (interruption.signal ?? SIGINT))
      } catch KernelRunError.unusable(let sentence) {
        progress.finish()
        try printer.show(ComparisonReport(subject: library ?? command.joined(separator: " "), problem: sentence))
      }
      progress.finish()
      try printer.finish()
    }

    /// Runs the cases of the registry or of all files.
    private func judge(_ kernel: any Kernel, _ progress: Progress, _ printer: inout ComparisonPrinter) throws {
      func isWanted(_ operatorName: String) -> Bool { operators.isEmpty || operators.contains(operatorName) }
      if files.isEmpty {
        let cases = try KernelCases(ofRegistry: dtype ?? .float32, isWanted: isWanted)
        try judge(cases, of: nil, kernel, progress, &printer)
      }
      for file in files {
        do {
          let cases = try KernelCases(ofFile: file, in: dtype, isWanted: isWanted)
          try judge(cases, of: file, kernel, progress, &printer)
        } catch let error where error is GoldenError || error is FileError {
          try printer.show(ComparisonReport(subject: file, problem: Self.reason(error, file)))
        }
      }
    }

    /// Runs the cases of the registry or of one file.
    private func judge(
      _ cases: KernelCases, of file: String?, _ kernel: any Kernel, _ progress: Progress,
      _ printer: inout ComparisonPrinter
    ) throws {
      var run = KernelRun(cases.cases)
      run.isWanted = printer.includes
      run.judgment.isForwardOnly = forwardOnly
      run.judgment.limits = comparison.limits
      let others = cases.others.filter { printer.includes($0.name) }
      if !others.isEmpty {
        try printer.show(ComparisonReport(subject: file ?? "the registry", kind: "not run", rows: others))
      }
      guard run.hasWork || !others.isEmpty else {
        let problem = "it has no case that --operator, --dtype and --only choose"
        return try printer.show(ComparisonReport(subject: file ?? "the registry", problem: problem))
      }
      try run.run(kernel) {
        progress.report($0)
      } show: { report in
        progress.finish()
        // The rows were chosen before the kernel ran; that it crashed must not be left out now.
        let subject = (file.map { "\($0), " } ?? "") + report.subject
        try printer.show(
          ComparisonReport(subject: subject, kind: report.kind, rows: report.rows), isFiltered: true)
      }
    }

    private func kernel(_ interruption: Interruption) throws -> any Kernel {
      let limit = Duration.seconds(timeout)
      if let library {
        return ServedKernel(
          try KernelHost.command(library, limit, interruption), environment: ["SWIFT_BACKTRACE": "enable=no"],
          limit: limit,
          interruption: interruption)
      }
      return serve
        ? ServedKernel(command, limit: limit, interruption: interruption)
        : CommandKernel(command, limit: limit, interruption: interruption)
    }

    /// The sentence without the file's name, which the report has.
    private static func reason(_ error: any Error, _ file: String) -> String {
      let sentence = MVARTool.describe(error)
      return sentence.hasPrefix("\(file): ") ? String(sentence.dropFirst(file.count + 2)) : sentence
    }
  }

  /// The process that loads a kernel's library.
  struct KernelHost: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "kernel-host", abstract: "Call the kernel of a shared library.", shouldDisplay: false)

    @Argument var library: String

    @Flag(help: "Only load it.")
    var check = false

    func run() throws {
      let host = try LibraryHost(library: library)
      if check { host.confirm() } else { host.serve() }
    }

    /// The command that serves a library, which has been loaded once in a process of its own.
    ///
    /// - Parameter limit: how long that may take.
    /// - Throws: `KernelRunError` when it cannot be loaded.
    static func command(_ library: String, _ limit: Duration, _ interruption: Interruption) throws -> [String] {
      func command(_ options: [String]) throws -> [String] {
        try ChildProcess.command(["golden", configuration.commandName ?? ""] + options + ["--", library])
      }
      let process = try SupervisedProcess(
        try command(["--check"]), isServed: true, environment: ["SWIFT_BACKTRACE": "enable=no"],
        interruption: interruption)
      defer { process.stop() }
      let isLoaded: Bool? = try process.wait(until: .now + limit) { process in
        while let line = process.takeLine() { if line == LibraryHost.loaded { return true } }
        return nil
      }
      guard isLoaded == true else { throw KernelRunError.unusable(problem(library, process, limit)) }
      return try command([])
    }

    /// Why a library was not loaded.
    private static func problem(_ library: String, _ process: SupervisedProcess, _ limit: Duration) -> String {
      let words = process.complaints.lastLine
      switch process.end {
      case nil: return "it was not loaded within \(limit.inSeconds)" + (words.map { ": \($0)" } ?? "")
      case .status(1):
        return String((words ?? "cannot be loaded").trimmingPrefix("mvar: ").trimmingPrefix("\(library): "))
      case .some(let end): return "the process that loaded it \(end)" + (words.map { ": \($0)" } ?? "")
      }
    }
  }
}
