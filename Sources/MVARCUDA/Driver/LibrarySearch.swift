// Where CUDA's libraries may be: the file that an environment variable names; otherwise whatever the system finds by
// name, the folders of Python packages (a PyTorch environment brings the compiler, cuBLAS and NCCL), and the folders of
// a CUDA toolkit.

import Foundation
import MVARFiles

/// A CUDA library.
package enum CUDALibrary: String, Sendable, CaseIterable {
  /// The driver, which comes with the GPU.
  case driver = "the CUDA driver"
  /// The run-time compiler.
  case nvrtc = "the CUDA run-time compiler (NVRTC)"
  /// The library of matrix products, which is optional.
  case cublas = "cuBLAS"
  /// The library of operations of several GPUs, which is optional.
  case nccl = "NCCL"

  /// The environment variable that names the library's file; if it is set, nothing else is tried.
  package var variable: String {
    switch self {
    case .driver: "MVAR_CUDA_DRIVER"
    case .nvrtc: "MVAR_NVRTC"
    case .cublas: "MVAR_CUBLAS"
    case .nccl: "MVAR_NCCL"
    }
  }

  /// The library's names, best first.
  package var names: [String] {
    switch self {
    case .driver: ["libcuda.so.1"]
    case .nvrtc: ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"]
    case .cublas: ["libcublas.so.13", "libcublas.so.12", "libcublas.so.11", "libcublas.so"]
    case .nccl: ["libnccl.so.2", "libnccl.so"]
    }
  }

  /// The folders of Python packages that contain it, below `site-packages`.
  var packageFolders: [String] {
    switch self {
    case .driver: []
    case .nvrtc: ["nvidia/cu13/lib", "nvidia/cuda_nvrtc/lib"]
    case .cublas: ["nvidia/cu13/lib", "nvidia/cublas/lib"]
    case .nccl: ["nvidia/nccl/lib"]
    }
  }
}

/// The locations where libraries are looked for.
package struct LibrarySearch: Sendable {
  /// The environment variables that are used.
  package var environment: [String: String]
  /// The user's home folder.
  package var home: String
  /// A prefix for the names of system folders; empty except in tests.
  package var root: String

  /// The search of this process.
  package init(
    environment: [String: String] = ProcessInfo.processInfo.environment, home: String = NSHomeDirectory(),
    root: String = ""
  ) {
    self.environment = environment
    self.home = home
    self.root = root
  }

  /// A location to try.
  package enum Candidate: Hashable, Sendable {
    /// A name or path that the system may load.
    case library(String)
    /// A folder that contains no such library.
    case emptyFolder(String)
  }

  /// The locations of a library in the order in which they are tried.
  package func candidates(for library: CUDALibrary) -> [Candidate] {
    if let path = environment[library.variable], !path.isEmpty { return [.library(path)] }
    var candidates = library.names.map { Candidate.library($0) }
    for folder in folders(of: library) {
      let files = library.names.map { "\(folder)/\($0)" }.filter { FileManager.default.fileExists(atPath: $0) }
      candidates += files.isEmpty ? [.emptyFolder(folder)] : files.map { .library($0) }
    }
    return candidates
  }

  /// Loads a library from the first location that works.
  ///
  /// - Parameter open: loads it from a name or path, and throws when that fails or the library is not suitable.
  /// - Throws: `CUDAError.libraryNotFound` with every location and the error that `open` threw for it.
  package func load<Loaded>(_ library: CUDALibrary, _ open: (String) throws -> Loaded) throws -> Loaded {
    var attempts: [LibraryAttempt] = []
    for candidate in candidates(for: library) {
      switch candidate {
      case .library(let path):
        do {
          return try open(path)
        } catch {
          attempts.append(LibraryAttempt(place: path, reason: "\(error)"))
        }
      case .emptyFolder(let folder):
        attempts.append(LibraryAttempt(place: folder, reason: "not there"))
      }
    }
    throw CUDAError.libraryNotFound(library.rawValue, attempts: attempts)
  }

  /// The folders that may contain a library.
  private func folders(of library: CUDALibrary) -> [String] {
    if library == .driver { return ["\(root)/usr/lib/wsl/lib"] }
    var folders: [String] = []
    var prefixes = ["VIRTUAL_ENV", "CONDA_PREFIX"].compactMap { environment[$0] }.filter { !$0.isEmpty }
    prefixes.append("\(home)/.local")
    prefixes.append("\(root)/usr/local")
    for prefix in prefixes {
      for python in names(in: "\(prefix)/lib", startingWith: "python3") {
        for packages in ["site-packages", "dist-packages"] {
          let all = "\(prefix)/lib/\(python)/\(packages)"
          guard FileManager.default.fileExists(atPath: "\(all)/nvidia") else { continue }
          folders += library.packageFolders.map { "\(all)/\($0)" }
        }
      }
    }
    if let conda = environment["CONDA_PREFIX"], !conda.isEmpty { folders.append("\(conda)/lib") }
    var toolkits = ["CUDA_HOME", "CUDA_PATH"].compactMap { environment[$0] }.filter { !$0.isEmpty }
    toolkits.append("\(root)/usr/local/cuda")
    toolkits += names(in: "\(root)/usr/local", startingWith: "cuda-").map { "\(root)/usr/local/\($0)" }
    return folders + toolkits.map { "\($0)/lib64" }
  }

  /// The entries of a folder that start with a prefix, highest version first.
  private func names(in folder: String, startingWith prefix: String) -> [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return names.filter { $0.hasPrefix(prefix) }.sorted { $0.compare($1, options: .numeric) == .orderedDescending }
  }
}
