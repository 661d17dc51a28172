// `mvar devices`: the engines of this machine, and for the CUDA one and for several processes the libraries that were found, or
// the places that were searched. Not finding something is an answer, not a failure.

import ArgumentParser
import Foundation
import MVARCUDA
import MVARCollectives
import TensorCore

struct Devices: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List the engines of this machine, what --device cuda needs, and the MPI libraries.",
    discussion: """
      The CUDA driver and its run-time compiler are searched for when the program runs. MVAR_CUDA_DRIVER, MVAR_NVRTC, \
      MVAR_CUBLAS and MVAR_NCCL name their files if they are elsewhere, MVAR_CUDA_CACHE the folder for compiled \
      kernels, and MVAR_CUDA_KERNELS a folder of kernels compiled in advance (Scripts/check-kernels --keep), which \
      need no compiler. Only --products cublas needs cuBLAS, and only trainings on several GPUs use NCCL. The MPI \
      libraries of runs on several processes (mpirun -n 4 mvar train …) are found likewise; MVAR_MPI names their file.
      """)

  func run() throws {
    try Console.print("cpu")
    try Table.print([["threads", "\(ThreadCount.current)"]])
    try Console.print("reference")
    try Table.print([["threads", "1"]])
    try Console.print("cuda")
    try Table.print(cuda())
    try Console.print("several processes")
    try Table.print(mpi())
  }

  /// The MPI libraries that were found, without starting any of them.
  private func mpi() -> [[String]] {
    [("Open MPI", MPILauncher(.openMPI, count: 1)), ("MPICH", MPILauncher(.mpich, count: 1))].flatMap {
      name, launcher in
      do {
        let library = try MPILibrary.find(for: launcher, isForUse: false, environment: [:])
        return [[name, "\(library.name), \(library.version)"]]
      } catch CollectivesError.libraryNotFound(_, let attempts) {
        return [[name, "not found"]] + attempts.map { ["", "\($0.place): \($0.reason)"] }
      } catch {
        return [[name, "\(error)"]]
      }
    }
  }

  /// What was found of CUDA: a name and the result, or where it was searched for.
  private func cuda() -> [[String]] {
    var rows: [[String]] = []
    var version: CUDAVersion?
    do {
      let driver = try CUDADriver.system()
      version = driver.version
      rows.append(["driver", "\(driver.name), CUDA \(driver.version)"])
      let devices = try driver.devices()
      if devices.isEmpty { rows.append(["device", "none"]) }
      for device in devices {
        rows.append([
          "device \(device.ordinal)",
          "\(device.name), compute capability \(device.computeCapability), \(device.multiprocessorCount) "
            + "multiprocessors, \(Memory.text(device.memoryBytes))",
        ])
      }
    } catch {
      rows += complaint("driver", error)
    }
    do {
      let compiler = try NVRTC.find(for: version)
      rows.append(["compiler", "\(compiler.name), NVRTC \(compiler.version)"])
    } catch {
      rows += complaint("compiler", error)
    }
    do {
      let library = try CuBLAS.find(for: version)
      rows.append(["cuBLAS", "\(library.name), version \(library.version)"])
    } catch {
      rows += complaint("cuBLAS", error)
    }
    do {
      let library = try NCCL.find()
      rows.append(["NCCL", "\(library.name), version \(library.version)"])
    } catch {
      rows += complaint("NCCL", error)
    }
    if let folder = KernelImages.preparedFolder() {
      let problem = KernelCache(folder: folder).problem
      rows.append(["compiled", problem.map { "\(folder): not used, since it \($0)" } ?? folder])
    }
    let cache = KernelCache()
    let place = cache.folder ?? "not kept"
    rows.append(["kernels", cache.problem.map { "\(place): not used, since it \($0)" } ?? place])
    return rows
  }

  /// An error as rows, one for each place that was tried.
  private func complaint(_ name: String, _ error: any Error) -> [[String]] {
    guard case CUDAError.libraryNotFound(_, let attempts) = error else { return [[name, "\(error)"]] }
    return [[name, "not found"]] + attempts.map { ["", "\($0.place): \($0.reason)"] }
  }
}
