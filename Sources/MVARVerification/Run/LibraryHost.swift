// The process in which a kernel's shared library is loaded and called. It answers lines as any served kernel does, so that
// the judge treats a crash or an endless loop of the library like those of a command. Its standard output belongs to the
// answers; what the library prints goes to standard error.

import Foundation
import MVARCheckpoints
import MVARFiles
import MVARKernelABI

/// Calls the kernel of a shared library.
package struct LibraryHost {
  private typealias Kernel = @convention(c) (UnsafePointer<mvar_call>?) -> Int32

  /// What answers the judge that the library is loaded.
  package static let loaded = "loaded"

  private let kernel: Kernel
  /// Where answers are written.
  private let answers: Int32

  /// Loads a library. From then on, what is printed goes to standard error.
  ///
  /// - Throws: `FileError` when it cannot be loaded, or has no kernel.
  package init(library path: String) throws {
    answers = dup(STDOUT_FILENO)
    _ = fcntl(answers, F_SETFD, FD_CLOEXEC)
    dup2(STDERR_FILENO, STDOUT_FILENO)
    Self.endWithParent()
    // Reading a request must not be what first finds out that there is no such file.
    _ = try RegularFile.open(path, for: .reading)
    guard let handle = dlopen(path.contains("/") ? path : "./\(path)", RTLD_NOW | RTLD_LOCAL) else {
      let why = dlerror().map { String(cString: $0) } ?? "unknown"
      throw FileError(path, "cannot be loaded: \(why)")
    }
    guard let symbol = dlsym(handle, "mvar_kernel") else {
      throw FileError(path, "has no function mvar_kernel; see mvar_kernel.h")
    }
    kernel = unsafeBitCast(symbol, to: Kernel.self)
  }

  /// Answers that the library is loaded.
  package func confirm() { _ = try? Descriptor.writeAll(Array("\(Self.loaded)\n".utf8), to: answers) }

  /// Answers the lines of standard input until it ends.
  package func serve() {
    while let line = readLine() {
      let files = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
      var answer = files.count == 2 ? self.answer(request: files[0], to: files[1]) : "error the line is no request"
      answer = printable(answer) + "\n"
      guard (try? Descriptor.writeAll(Array(answer.utf8), to: answers)) != nil else { return }
    }
  }

  private func answer(request: String, to path: String) -> String {
    do {
      let memory = try KernelCallMemory(try Checkpoint.open(request))
      let status = try memory.call(kernel)
      fflush(nil)
      let (tensors, notes) = try memory.answer()
      // What was written outside of the tensors is said whatever the kernel reports.
      if let problem = notes.filter({ $0.key.hasPrefix(KernelNote.problem) }).min(by: { $0.key < $1.key }), status != 0
      {
        let name = problem.key.dropFirst(KernelNote.problem.count)
        return "error mvar_kernel returned \(status), and \(name): \(problem.value)"
      }
      if status == MVAR_NOT_SUPPORTED { return "unsupported" }
      guard status == MVAR_OK else { return "error mvar_kernel returned \(status)" }
      try SafetensorsWriter.write(tensors, metadata: notes, to: path)
      return "ok"
    } catch {
      return "error \((error as? FileError)?.reason ?? "\(error)")"
    }
  }

  /// Ends this process when the one that started it is gone, even while the kernel computes.
  private static func endWithParent() {
    let parent = getppid()
    Thread.detachNewThread {
      while getppid() == parent { usleep(200_000) }
      _exit(1)
    }
  }
}
