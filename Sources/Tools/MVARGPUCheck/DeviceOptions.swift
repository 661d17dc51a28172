// Which device is checked, and with how many images.

import ArgumentParser
import MVARCUDA
import MVARTool

// How products are computed is an argument of MVARTool's already.
extension CUDAEngine.Precision: ExpressibleByArgument {}

/// The options that choose the device.
struct DeviceOptions: ParsableArguments {
  @Flag(
    help: """
      Take a device made of this machine's processors, to try the checks themselves without a GPU: libcuda-emulator.so \
      beside this program, or the file that MVAR_CUDA_DRIVER names.
      """)
  var emulated = false

  @Flag(help: "Take small models and maps, for the emulated device.")
  var small = false

  @Option(parsing: .upToNextOption, help: "What products are computed in (default: float32, tf32 and bfloat16).")
  var precision: [CUDAEngine.Precision] = CUDAEngine.Precision.allCases

  @Option(help: "Who computes the products of linear layers: own or cublas.")
  var products = CUDAEngine.Products.own

  /// A new engine of the device.
  ///
  /// - Throws: `CUDAError`.
  func engine(_ precision: CUDAEngine.Precision = .float32) throws -> CUDAEngine {
    guard emulated else { return try CUDAEngine(precision: precision, products: products) }
    return try EmulatedDevice().engine(precision, products)
  }

  /// What a column of a precision is called.
  func column(_ precision: CUDAEngine.Precision) -> String { "here, \(title(precision))" }

  /// What results in a precision are called.
  func title(_ precision: CUDAEngine.Precision) -> String {
    products == .own ? precision.rawValue : "\(precision.rawValue), \(products.rawValue)"
  }
}

/// The options of timings of models.
struct ModelOptions: ParsableArguments {
  @OptionGroup var device: DeviceOptions
  @Option(help: "Images sampled at once, or of a training step.") var batch = 32

  /// How many images; few with small models.
  var imageCount: Int { device.small ? 2 : batch }

  /// The models.
  func scenario() throws -> Scenario { try Scenario(isSmall: device.small) }
}
