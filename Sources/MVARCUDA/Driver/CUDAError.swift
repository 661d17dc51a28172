// What can go wrong between this process and a GPU, each as one sentence. None of these are programming errors: wrong
// shapes fail a precondition, as in the other engines.

import MVARFiles

/// Why something in CUDA was not available or did not work.
public enum CUDAError: Error, Equatable, CustomStringConvertible {
  /// A library could not be loaded from any of the locations where it may be.
  case libraryNotFound(String, attempts: [LibraryAttempt])
  /// A library lacks a function: it is too old, or a different library of the same name.
  case functionMissing(String, library: String)
  /// A library that does not suit the driver or the device, with the reason.
  case unsuitableLibrary(String)
  /// A function of a library returned an error, with the library's own name and message for it.
  case failedCall(function: String, code: Int32, name: String, text: String)
  /// A device was requested that does not exist.
  case noDevice(ordinal: Int, count: Int)
  /// The device has no free memory, even after idle memory was freed.
  case outOfMemory(byteCount: Int, used: Int, device: String)
  /// A copy that is not inside a buffer; all values in bytes.
  case outOfBounds(offset: Int, byteCount: Int, bufferBytes: Int)
  /// A kernel's file does not compile, with the compiler's log.
  case compilation(file: String, architecture: String, log: String)
  /// No embedded file holds a kernel, or there is no such file.
  case noKernel(String)
  /// A kernel cannot be launched with these sizes.
  case unlaunchable(kernel: String, reason: String)
  /// An operation that cannot be part of a launch graph, in words that begin a sentence.
  case unrecordable(String)

  /// One sentence without a period.
  public var description: String {
    switch self {
    case .libraryNotFound(let library, let attempts):
      let tried = attempts.map { "\($0.place) (\($0.reason))" }.joined(separator: ", ")
      return "\(library) could not be loaded; tried \(tried)"
    case .functionMissing(let function, let library):
      return "\(library) has no function \(function)"
    case .unsuitableLibrary(let reason):
      return reason
    case .failedCall(let function, let code, let name, let text):
      return "\(function) failed: \(name) (\(code)), \(text)"
    case .noDevice(let ordinal, let count):
      return "there is no CUDA device \(ordinal): the driver found \(count)"
    case .outOfMemory(let byteCount, let used, let device):
      return "\(device) has no room for \(byteCount) bytes more; \(used) are in use by this process"
    case .outOfBounds(let offset, let byteCount, let bufferBytes):
      return "a copy of \(byteCount) bytes at \(offset) does not fit a buffer of \(bufferBytes) bytes"
    case .compilation(let file, let architecture, let log):
      return "the kernels of \(file) do not compile for \(architecture): \(log)"
    case .noKernel(let name):
      return "there is no kernel \(name)"
    case .unlaunchable(let kernel, let reason):
      return "the kernel \(kernel) cannot be launched: \(reason)"
    case .unrecordable(let operation):
      return "\(operation) cannot be recorded in a launch graph, which the device repeats without this process"
    }
  }
}
