// swift-tools-version: 6.3
import PackageDescription

// Timings against PyTorch; a separate package, so that users of the library do not build it.
let package = Package(
  name: "Benchmarks",
  dependencies: [.package(name: "MVAR", path: "..")],
  targets: [
    .executableTarget(
      name: "TrainingStep",
      dependencies: [
        .product(name: "MVAR", package: "MVAR"), .product(name: "TensorCore", package: "MVAR"),
        .product(name: "MVARTraining", package: "MVAR"),
      ]),
    .executableTarget(name: "Bench", dependencies: [.product(name: "MVAR", package: "MVAR")]),
    .executableTarget(
      name: "Workloads",
      dependencies: [
        .product(name: "MVAR", package: "MVAR"), .product(name: "TensorCore", package: "MVAR"),
        .product(name: "OperatorCases", package: "MVAR"), .product(name: "MVARTraining", package: "MVAR"),
      ]),
    .executableTarget(
      name: "WindowedAttention",
      dependencies: [.product(name: "TensorCore", package: "MVAR"), .product(name: "MVARPlots", package: "MVAR")]),
  ],
  swiftLanguageModes: [.v6]
)
