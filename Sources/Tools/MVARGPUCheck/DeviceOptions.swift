// The options of the device to check, and how many images to use.

import ArgumentParser
import MVARCUDA
import MVARTool

// The precision of products is already an argument type of MVARTool's.
extension CUDAEngine.Precision: ExpressibleByArgument {}

/// The options that choose the device.
struct DeviceOptions: ParsableArguments {
  @Flag(
    help: """
      Use a device emulated on this machine's processors, to try the checks without a GPU: libcuda-emulator.so \
      next to this program, or the file that MVAR_CUDA_DRIVER names.
      """)
  var emulated = false

  @Flag(help: "Use small models and maps, for the emulated device.")
  var small = false

  @Flag(
    help: """
      Give every tensor memory of its own, as on the emulated device, so that compute-sanitizer sees every access \
      outside of it.
      """)
  var exact = false

  @Option(parsing: .upToNextOption, help: "The precisions of matrix products (default: float32, tf32 and bfloat16).")
  var precision: [CUDAEngine.Precision] = CUDAEngine.Precision.allCases

  @Option(help: "The kernels for the products of linear layers: own or cublas.")
  var products = CUDAEngine.Products.own

  /// A new engine of the device.
  ///
  /// - Parameters:
  ///   - precision: of products.
  ///   - ordinal: which of several devices.
  ///   - observer: called before every launch.
  /// - Throws: `CUDAError`.
  func engine(
    _ precision: CUDAEngine.Precision = .float32, ordinal: Int = 0, observer: CUDAEngine.LaunchObserver? = nil
  ) throws -> CUDAEngine {
    guard emulated else {
      return try CUDAEngine(
        ordinal: ordinal, precision: precision, products: products, memory: exact ? .exact : .recycled,
        observer: observer)
    }
    return try EmulatedDevice().engine(precision, products, ordinal: ordinal, observer: observer)
  }

  /// How many devices there are.
  ///
  /// - Throws: `CUDAError`.
  func deviceCount() throws -> Int {
    try (emulated ? EmulatedDevice().driver() : CUDADriver.system()).devices().count
  }

  /// The library of operations of several GPUs.
  ///
  /// - Throws: `CUDAError`.
  func nccl() throws -> NCCL { emulated ? try EmulatedDevice().nccl() : try NCCL.find() }

  /// The column title of a precision.
  func column(_ precision: CUDAEngine.Precision) -> String { "here, \(title(precision))" }

  /// The title of results in a precision.
  func title(_ precision: CUDAEngine.Precision) -> String {
    products == .own ? precision.rawValue : "\(precision.rawValue), \(products.rawValue)"
  }
}

/// The options for timing models.
struct ModelOptions: ParsableArguments {
  @OptionGroup var device: DeviceOptions
  @Option(help: "Images sampled at once, or per training step.") var batch = 32

  /// How many images; few with small models.
  var imageCount: Int { device.small ? 2 : batch }

  /// The models.
  func scenario() throws -> Scenario { try Scenario(isSmall: device.small) }
}
