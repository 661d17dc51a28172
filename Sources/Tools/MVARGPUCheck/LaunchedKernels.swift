// Which kernels a check has launched, so that a kernel that none launches is noticed.

import MVARCUDA
import Synchronization

/// The kernels that engines have launched.
final class LaunchedKernels: Sendable {
  private let names = Mutex<Set<String>>([])

  /// Notes the kernels of an engine.
  var observer: CUDAEngine.LaunchObserver {
    { [self] kernel, _ in names.withLock { _ = $0.insert(kernel) } }
  }

  /// Kernels that only products of cuBLAS need: operands are rounded, and a product of no terms is filled with zeros.
  private static let ofCuBLAS: Set<String> = ["roundToBF16", "fill"]

  /// Those that operators should have launched and have not, in the order of the list.
  func missing(_ products: CUDAEngine.Products) -> [String] {
    let launched = names.withLock(\.self)
    return KernelFile.all.flatMap(\.kernels).filter { kernel in
      let isOfOther =
        products == .own
        ? Self.ofCuBLAS.contains(kernel.name)
        : kernel.file.name == "Linear.cu" && !Self.ofCuBLAS.contains(kernel.name)
      return !launched.contains(kernel.name) && !isOfOther
    }.map(\.name)
  }

  /// Reports how many there are, and the names of the others.
  func report(_ products: CUDAEngine.Products) {
    let count = KernelFile.all.reduce(0) { $0 + $1.kernels.count }
    let missing = missing(products)
    let section = "Kernels that the comparison of operators launches"
    Measurement(section, "launched", "here", "\(names.withLock(\.count)) of \(count)").report()
    Measurement(section, "not launched", "here", missing.isEmpty ? "none" : missing.joined(separator: ", ")).report()
  }
}
