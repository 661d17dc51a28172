// The command-line tool: parses arguments, runs a subcommand, and turns every error into one sentence.
//
// Results go to standard output, everything else to standard error. The exit status is 0, 1 when something failed, or
// 64 when the arguments are invalid. Each subcommand is a file of its own. The program itself is the target
// MVARProgram; that of GPUCheck offers the same commands.

import ArgumentParser
import Foundation
import MVAR
import MVARCheckpoints
import MVARFiles

/// The command `mvar`.
package struct MVARTool: ParsableCommand {
  package static let configuration = CommandConfiguration(
    commandName: "mvar",
    abstract: "Sample images with MVAR, train it, and inspect the files it works with.",
    discussion: """
      Sample eight faces with the small model that ships with the package:

        mvar sample --class face --count 8 -o faces.png

      Sample four images of class 207 with the published checkpoints:

        mvar sample --model mvar-d16.pth --tokenizer vae_ch160v4096z32.pth --class 207 --count 4 -o out.png

      Without checkpoints, `--model seeded:d16` has the published sizes with deterministic pseudo-random weights: \
      useful for checking speed and correctness, not for images.
      """,
    version: Version.current,
    subcommands: [
      Sample.self, Edit.self, Reconstruct.self, Encode.self, Decode.self, Crop.self, Inspect.self, Convert.self,
      Verify.self,
      Golden.self,
      TrainTokenizer.self, Train.self, Cache.self, Evaluate.self, Metrics.self, Flops.self,
      Mask.self, AttentionMap.self, Explain.self,
      Compare.self, Devices.self,
    ])

  /// No subcommand; the type where parsing starts.
  package init() {}

  /// Runs the tool with the arguments of the program, and ends the process on failure.
  ///
  /// - Parameter words: the program's arguments before a subcommand, where the tool is one of several that it offers.
  package static func start(after words: [String] = []) {
    ChildProcess.leadingWords.withLock { $0 = words }
    let arguments = prepareProcess()
    ChildProcess.endWithParent()
    MappedFileFaults.install(program: "mvar")
    // For tests of how much memory files take, whatever becomes of them.
    if ProcessInfo.processInfo.environment["MVAR_REPORT_PEAK"] != nil {
      atexit { Console.note("peak \(Memory.peak) bytes") }
    }
    do {
      var command = try parseAsRoot(Array(arguments.dropFirst(1 + words.count)))
      let name = type(of: command)._commandName
      // Commands with an engine know whether they share their work; help and devices are of use to each rank.
      if !(command is any EngineCommand), !["help", "mvar", "devices"].contains(name) { try Ranks.refuseOthers(name) }
      try command.run()
      Ranks.disconnectGPUs()
      Ranks.leave()
    } catch {
      leave(with: error)
    }
  }

  /// Prepares the process for everything else, and ends it if that is impossible.
  ///
  /// - Returns: the program's name and its arguments.
  package static func prepareProcess() -> [String] {
    StandardStreams.reserve()
    // A closed pipe and a file-size limit become errors of the write, which are reported like any other.
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)
    do throws(FileError) {
      return try ProgramArguments.all()
    } catch {
      Console.complain("\(error)")
      Foundation.exit(64)
    }
  }

  /// Reports an error and ends the process.
  private static func leave(with error: any Error) -> Never {
    if let code = error as? ExitCode {
      // All ranks leave in the same way.
      Ranks.disconnectGPUs()
      Ranks.leave()
      Foundation.exit(code.rawValue)
    }
    let code = exitCode(for: error)
    if code == .success {
      // Not an error: help, the version or a completion script was requested.
      guard Ranks.isFirst else { Foundation.exit(0) }
      do {
        try Console.print(fullMessage(for: error))
        Foundation.exit(0)
      } catch {
        leave(with: error)
      }
    }
    let isUsage = code == .validationFailure
    let usage = message(for: error).replacingOccurrences(of: ". Please provide", with: "; use")
    Ranks.fail(isUsage ? usage : describe(error), status: isUsage ? 64 : 1)
  }

  /// One sentence about an error of the libraries or the system.
  static func describe(_ error: any Error) -> String {
    error is CocoaError || error is POSIXError ? error.localizedDescription : "\(error)"
  }
}

/// Runs `body` and adds the names of files to errors that name none.
func naming<Result>(_ files: String, _ body: () throws -> Result) throws -> Result {
  do {
    return try body()
  } catch let error as ConfigurationError {
    throw Failure("\(files): \(error)")
  } catch let error as NotANumberError {
    throw Failure("\(files): \(error)")
  }
}

/// Why a subcommand or a check failed.
package struct Failure: Error, CustomStringConvertible {
  /// One sentence without a full stop.
  package let description: String

  /// A failure with its sentence.
  package init(_ description: String) { self.description = description }
}
