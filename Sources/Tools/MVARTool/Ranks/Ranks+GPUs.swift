// The GPUs of several ranks: which one each takes, and how what they compute is added up. By NCCL from GPU to GPU where
// it is found and every rank has a GPU of its own; else by MPI through the host, which is said in one line.

import MVARCUDA
import MVARCollectives
import Synchronization

extension Ranks {
  /// The ranks of this run with their GPUs connected, if they are.
  private static let connected = Mutex<CUDACollectives?>(nil)

  /// The number of the GPU that this rank takes: its own number among the ranks of its machine, and from 0 again where
  /// there are fewer GPUs.
  ///
  /// - Throws: `CUDAError` when there is no driver.
  static func gpu() throws -> Int {
    let ranks = current
    guard ranks.count > 1 else { return 0 }
    return ranks.localRank % max(try CUDADriver.system().devices().count, 1)
  }

  /// The processes of this run, for a command that trains on a device: on a GPU, they are connected if that is possible.
  ///
  /// - Throws: `Failure` if NCCL is there and fails.
  static func current(on device: some EngineDevice) throws -> any Collectives {
    let ranks = current
    guard ranks.count > 1, let engine = device as? CUDAEngine else { return ranks }
    do {
      switch try CUDACollectives.connect(ranks, engine) {
      case .connected(let gpus):
        connected.withLock { $0 = gpus }
        Console.note("gradients are added up from GPU to GPU by \(gpus.nameBetweenGPUs)")
        return gpus
      case .hostOnly(let reason):
        Console.note("gradients are added up by \(ranks.name) through the host: \(reason)")
        return ranks
      }
    } catch {
      throw Failure("\(error); MVAR_NCCL=off adds up through the host instead")
    }
  }

  /// Disconnects the GPUs at the end of a command that all have finished, before the processes leave one another.
  static func disconnectGPUs() {
    connected.withLock { $0 }?.finish()
  }
}
