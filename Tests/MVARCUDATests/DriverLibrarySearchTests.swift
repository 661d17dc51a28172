// Where libraries are looked for, in which order, and the error when there are none. The folders are made up.

import Foundation
import MVARCUDA
import MVARFiles
import MVARTestSupport
import Testing

@Suite struct DriverLibrarySearchTests {
  /// A search in a test's own folders.
  private func search(_ folder: String, _ environment: [String: String] = [:]) -> LibrarySearch {
    LibrarySearch(environment: environment, home: "\(folder)/home", root: "\(folder)/system")
  }

  @Test func variableReplacesTheSearch() throws {
    for library in CUDALibrary.allCases {
      let search = search("/nowhere", [library.variable: "/opt/lib/some.so", "CUDA_HOME": "/nowhere/cuda"])
      #expect(search.candidates(for: library) == [.library("/opt/lib/some.so")])
    }
  }

  @Test func emptyVariableIsNone() {
    #expect(search("/nowhere", ["MVAR_NVRTC": ""]).candidates(for: .nvrtc).count > 1)
  }

  @Test func placesInOrder() throws {
    try withTemporaryFolder { folder in
      let packages = "lib/python3.11/site-packages/nvidia"
      try plant(
        [
          "venv/\(packages)/cu13/lib/libnvrtc.so.13", "venv/\(packages)/cuda_nvrtc/lib/libnvrtc.so.12",
          "venv/\(packages)/cuda_nvrtc/lib/libnvrtc.alt.so.12", "conda/lib/libnvrtc.so.12",
          "home/.local/lib/python3.9/site-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.12",
          "home/.local/lib/python3.12/site-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.12",
          "system/usr/local/cuda-12.9/lib64/libnvrtc.so.12", "system/usr/local/cuda-12.10/lib64/libnvrtc.so.12",
          "system/usr/local/cuda-12.10/lib64/libnvrtc.so", "toolkit/lib64/libnvrtc.so",
        ], in: folder)
      let search = search(
        folder,
        ["VIRTUAL_ENV": "\(folder)/venv", "CONDA_PREFIX": "\(folder)/conda", "CUDA_PATH": "\(folder)/toolkit"])
      let expected: [LibrarySearch.Candidate] = [
        .library("libnvrtc.so.13"), .library("libnvrtc.so.12"), .library("libnvrtc.so"),
        .library("\(folder)/venv/\(packages)/cu13/lib/libnvrtc.so.13"),
        .library("\(folder)/venv/\(packages)/cuda_nvrtc/lib/libnvrtc.so.12"),
        .emptyFolder("\(folder)/home/.local/lib/python3.12/site-packages/nvidia/cu13/lib"),
        .library("\(folder)/home/.local/lib/python3.12/site-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.12"),
        .emptyFolder("\(folder)/home/.local/lib/python3.9/site-packages/nvidia/cu13/lib"),
        .library("\(folder)/home/.local/lib/python3.9/site-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.12"),
        .library("\(folder)/conda/lib/libnvrtc.so.12"),
        .library("\(folder)/toolkit/lib64/libnvrtc.so"),
        .emptyFolder("\(folder)/system/usr/local/cuda/lib64"),
        .library("\(folder)/system/usr/local/cuda-12.10/lib64/libnvrtc.so.12"),
        .library("\(folder)/system/usr/local/cuda-12.10/lib64/libnvrtc.so"),
        .library("\(folder)/system/usr/local/cuda-12.9/lib64/libnvrtc.so.12"),
      ]
      #expect(search.candidates(for: .nvrtc) == expected)
    }
  }

  @Test func cuBLASOfEveryVersion() throws {
    try withTemporaryFolder { folder in
      let packages = "venv/lib/python3.12/site-packages/nvidia"
      try plant(
        ["\(packages)/cublas/lib/libcublas.so.12", "system/usr/local/cuda/lib64/libcublas.so.11"], in: folder)
      let expected: [LibrarySearch.Candidate] =
        ["libcublas.so.13", "libcublas.so.12", "libcublas.so.11", "libcublas.so"].map { .library($0) } + [
          .emptyFolder("\(folder)/\(packages)/cu13/lib"),
          .library("\(folder)/\(packages)/cublas/lib/libcublas.so.12"),
          .library("\(folder)/system/usr/local/cuda/lib64/libcublas.so.11"),
        ]
      #expect(search(folder, ["VIRTUAL_ENV": "\(folder)/venv"]).candidates(for: .cublas) == expected)
    }
  }

  @Test func firstThatServesIsTaken() throws {
    var tried: [String] = []
    let search = search("/nowhere", ["CUDA_HOME": "/nowhere/cuda"])
    let loaded = try search.load(.nvrtc) { path in
      tried.append(path)
      guard path == "libnvrtc.so.12" else { throw CUDAError.unsuitableLibrary("too new") }
      return path
    }
    #expect(loaded == "libnvrtc.so.12" && tried == ["libnvrtc.so.13", "libnvrtc.so.12"])
  }

  @Test func everyPlaceIsNamed() {
    let error = cudaError {
      try search("/nowhere").load(.driver) { _ in throw CUDAError.unsuitableLibrary("it is broken") }
    }
    #expect(
      error?.description == "the CUDA driver could not be loaded; tried libcuda.so.1 (it is broken), "
        + "/nowhere/system/usr/lib/wsl/lib (not there)")
  }

  @Test func fileThatIsNoLibrary() throws {
    try withTemporaryFolder { folder in
      try plant(["libcuda.so.1"], in: folder)
      let path = "\(folder)/libcuda.so.1"
      let error = cudaError { _ = try CUDADriver.system(search(folder, ["MVAR_CUDA_DRIVER": path])) }
      guard case .libraryNotFound(_, let attempts) = error else { return }
      #expect(attempts.map(\.place) == [path] && attempts[0].reason == "file too short")
    }
  }

  @Test func libraryOfTheSameNameWithoutTheFunctions() {
    // The math library is one that every machine has.
    let error = cudaError { _ = try CUDADriver.system(search("/nowhere", ["MVAR_CUDA_DRIVER": "libm.so.6"])) }
    #expect(
      error?.description
        == "the CUDA driver could not be loaded; tried libm.so.6 (libm.so.6 has no function cuInit)")
  }

  @Test func folderOfALibrary() throws {
    let folder = try #require(try DynamicLibrary("libm.so.6").folder(of: "cos"))
    #expect(FileManager.default.fileExists(atPath: "\(folder)libm.so.6"))
    #expect(try DynamicLibrary("libm.so.6").folder(of: "no_such_function") == nil)
  }
}
