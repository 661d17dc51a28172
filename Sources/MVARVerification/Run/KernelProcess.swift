// The process of a kernel under test. Whatever it does must not harm the judge: it has a process group of its own, which
// is ended as a whole, and it ends with the judge, however that ends; its output is read without ever blocking, and only the end of it is kept; and nothing is waited
// for beyond a deadline.

import CMVARProcess
import Foundation
import MVARFiles
import MVARTraining

/// Why a kernel's command cannot be run at all, or that the run was interrupted.
package enum KernelRunError: Error, CustomStringConvertible {
  /// One sentence.
  case unusable(String)
  /// A signal asked for the end of the run.
  case interrupted

  /// One sentence without a full stop.
  package var description: String {
    switch self {
    case .unusable(let sentence): sentence
    case .interrupted: "the run was interrupted"
    }
  }
}

/// A process of a kernel.
final class KernelProcess {
  /// How a process ended.
  enum End: Hashable, CustomStringConvertible {
    case status(Int32)
    case signal(Int32)

    /// `ended with status 3`, `was ended by signal 11 (Segmentation fault)`
    var description: String {
      switch self {
      case .status(let status): "ended with status \(status)"
      case .signal(let signal): "was ended by \(Signal.name(signal))"
      }
    }
  }

  /// How the process ended; nil while it runs.
  private(set) var end: End?
  /// What it wrote to standard output that has not been taken yet; empty unless it is served.
  private(set) var output = RecentText()
  /// What it wrote to standard error.
  private(set) var complaints = RecentText()

  private let process: pid_t
  private let interruption: Interruption?
  private var (toInput, fromOutput, fromErrors) = (Int32(-1), Int32(-1), Int32(-1))

  /// Starts a command.
  ///
  /// - Parameters:
  ///   - command: the program, searched for in PATH, and its arguments.
  ///   - isServed: whether requests are written to its standard input and answers read from its standard output;
  ///     otherwise its standard input is empty, and its standard output is discarded.
  ///   - environment: variables in addition to those of this process.
  ///   - interruption: what ends the waiting.
  /// - Throws: `KernelRunError` when it cannot be started.
  init(_ command: [String], isServed: Bool, environment: [String: String] = [:], interruption: Interruption?) throws {
    self.interruption = interruption
    let errors = try Self.pipe()
    let pipes = isServed ? (input: try Self.pipe(), output: try Self.pipe()) : nil
    let ofChild = [pipes?.input.read ?? -1, pipes?.output.write ?? -1, errors.write]
    defer { for descriptor in ofChild where descriptor >= 0 { close(descriptor) } }
    (toInput, fromOutput, fromErrors) = (pipes?.input.write ?? -1, pipes?.output.read ?? -1, errors.read)
    for descriptor in [toInput, fromOutput, fromErrors] where descriptor >= 0 {
      _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
    }
    do throws(SystemError) {
      process = try Self.start(command, environment, descriptors: ofChild)
    } catch {
      for descriptor in [toInput, fromOutput, fromErrors] where descriptor >= 0 { close(descriptor) }
      let name = printable(command.first ?? "", limit: 1024)
      throw KernelRunError.unusable(
        error.code == ENOENT ? "the command \(name) was not found" : "the command \(name) cannot be started: \(error)")
    }
  }

  deinit { stop() }

  /// Waits until the process ends.
  ///
  /// - Returns: how it ended; nil at the deadline.
  /// - Throws: `KernelRunError.interrupted`.
  func wait(until deadline: ContinuousClock.Instant) throws -> End? {
    try wait(until: deadline) { _ in end }
  }

  /// Waits until `condition` returns something, which is tried whenever the process wrote something or ended.
  ///
  /// - Returns: nil at the deadline, and when the process ended before.
  /// - Throws: `KernelRunError.interrupted`; what `condition` throws.
  func wait<Result>(until deadline: ContinuousClock.Instant, for condition: (KernelProcess) throws -> Result?) throws
    -> Result?
  {
    while true {
      if end == nil {
        // Without anything to read from, the end of the process is noticed by asking often.
        read(waiting: fromOutput < 0 && fromErrors < 0 ? 1 : 20)
        reap()
      }
      if let result = try condition(self) { return result }
      if end != nil || .now >= deadline { return nil }
      if interruption?.isRequested == true { throw KernelRunError.interrupted }
    }
  }

  /// Writes a line to its standard input; whether it was taken. Never blocks.
  func send(_ line: String) -> Bool {
    let bytes = Array((line + "\n").utf8)
    return write(toInput, bytes, bytes.count) == bytes.count
  }

  /// Removes and returns the first complete line of its standard output.
  func takeLine() -> String? { output.takeLine() }

  /// Discards everything that it has written to standard output.
  func discardOutput() {
    read(waiting: 0)
    output = RecentText()
  }

  /// Whether the process has ended, as far as can be known now.
  func hasEnded() -> Bool {
    if end == nil { reap() }
    return end != nil
  }

  /// Ends the process and everything it started that is still in its group.
  func stop() {
    guard end == nil else { return }
    kill(-process, SIGKILL)
    kill(process, SIGKILL)
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0, errno == EINTR {}
    finish(status)
  }

  // MARK: Reading

  /// Waits a moment for something to read, and reads one piece of it.
  private func read(waiting milliseconds: Int32) {
    var polled = [fromOutput, fromErrors].filter { $0 >= 0 }.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    guard poll(&polled, nfds_t(polled.count), milliseconds) > 0 else { return }
    for entry in polled where entry.revents != 0 {
      var bytes = [UInt8](repeating: 0, count: 1 << 16)
      let count = Foundation.read(entry.fd, &bytes, bytes.count)
      let isOutput = entry.fd == fromOutput
      if count > 0 {
        if isOutput { output.append(bytes[..<count]) } else { complaints.append(bytes[..<count]) }
      } else if count == 0 || (errno != EINTR && errno != EAGAIN) {
        close(entry.fd)
        if isOutput { fromOutput = -1 } else { fromErrors = -1 }
      }
    }
  }

  /// Notes the end of the process, ends what it left behind, and reads its last words.
  private func reap() {
    var information = siginfo_t()
    guard waitid(P_PID, id_t(process), &information, WEXITED | WNOHANG | WNOWAIT) == 0, information.si_signo == SIGCHLD
    else { return }
    // Until it is reaped, no other group can have its number.
    kill(-process, SIGKILL)
    for _ in 0..<64 { read(waiting: 0) }
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0, errno == EINTR {}
    finish(status)
  }

  private func finish(_ status: Int32) {
    end = status & 0x7f == 0 ? .status((status >> 8) & 0xff) : .signal(status & 0x7f)
    for descriptor in [toInput, fromOutput, fromErrors] where descriptor >= 0 { close(descriptor) }
    (toInput, fromOutput, fromErrors) = (-1, -1, -1)
  }

  // MARK: Starting

  private static func pipe() throws -> (read: Int32, write: Int32) {
    var ends: [Int32] = [-1, -1]
    guard Foundation.pipe(&ends) == 0 else { throw KernelRunError.unusable("no pipe can be made: \(SystemError())") }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    return (ends[0], ends[1])
  }

  /// Starts a program in a process group of its own, with the default reaction to every signal. On Linux it ends with the
  /// thread that called this.
  private static func start(
    _ command: [String], _ environment: [String: String], descriptors: [Int32]
  ) throws(SystemError) -> pid_t {
    let variables = ProcessInfo.processInfo.environment.merging(environment) { _, new in new }
    var arguments = command.map { strdup($0) } + [nil]
    var settings = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for text in arguments + settings { free(text) } }
    var process: pid_t = 0
    #if os(Linux)
      let code = startWithParent(&process, command.first ?? "", &arguments, &settings, descriptors)
    #else
      let code = spawn(&process, command.first ?? "", &arguments, &settings, descriptors)
    #endif
    guard code == 0 else { throw SystemError(code) }
    return process
  }

  #if canImport(Darwin)
    private static func spawn(
      _ process: inout pid_t, _ file: String, _ arguments: inout [UnsafeMutablePointer<CChar>?],
      _ settings: inout [UnsafeMutablePointer<CChar>?], _ descriptors: [Int32]
    ) -> Int32 {
      var (actions, attributes): (posix_spawn_file_actions_t?, posix_spawnattr_t?) = (nil, nil)
      posix_spawn_file_actions_init(&actions)
      posix_spawnattr_init(&attributes)
      defer {
        posix_spawn_file_actions_destroy(&actions)
        posix_spawnattr_destroy(&attributes)
      }
      for (target, descriptor) in descriptors.enumerated() {
        if descriptor >= 0 {
          posix_spawn_file_actions_adddup2(&actions, descriptor, Int32(target))
        } else {
          posix_spawn_file_actions_addopen(&actions, Int32(target), "/dev/null", O_RDWR, 0)
        }
      }
      var signals = sigset_t()
      sigemptyset(&signals)
      posix_spawnattr_setsigmask(&attributes, &signals)
      for signal in [SIGPIPE, SIGXFSZ, SIGINT, SIGTERM, SIGHUP] { sigaddset(&signals, signal) }
      posix_spawnattr_setsigdefault(&attributes, &signals)
      posix_spawnattr_setpgroup(&attributes, 0)
      posix_spawnattr_setflags(
        &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
      return posix_spawnp(&process, file, &actions, &attributes, &arguments, &settings)
    }
  #endif
}

/// The end of a text of any length.
struct RecentText {
  private static let limit = 1 << 16
  private var bytes: [UInt8] = []
  /// Where the lines begin that have not been taken.
  private var start = 0

  mutating func append(_ more: ArraySlice<UInt8>) {
    bytes.removeFirst(start)
    start = 0
    bytes += more
    if bytes.count > Self.limit { bytes.removeFirst(bytes.count - Self.limit) }
  }

  /// Removes and returns the first line that is complete.
  mutating func takeLine() -> String? {
    guard let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) else { return nil }
    defer { start = end + 1 }
    return String(decoding: bytes[start..<end], as: UTF8.self)
  }

  /// The last line that is not blank, safe to show.
  var lastLine: String? {
    String(decoding: bytes[start...], as: UTF8.self).split(whereSeparator: \.isNewline)
      .last { !$0.allSatisfy(\.isWhitespace) }.map { printable($0.trimmingCharacters(in: .whitespaces), limit: 400) }
  }
}
