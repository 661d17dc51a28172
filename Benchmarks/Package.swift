// swift-tools-version: 6.3
import PackageDescription

// Timings beside what a user would pick instead; a separate package, so that users of the library do not build it.
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
    // What a run measured, and its tables; nothing in it runs anything.
    .target(name: "BenchReport"),
    .executableTarget(name: "Bench", dependencies: ["BenchReport", .product(name: "MVAR", package: "MVAR")]),
    // Loops in C: products of short numbers have no operators in Swift.
    .target(name: "ArithmeticPeak"),
    .executableTarget(
      name: "Workloads",
      dependencies: [
        "ArithmeticPeak",
        .product(name: "MVAR", package: "MVAR"), .product(name: "TensorCore", package: "MVAR"),
        .product(name: "OperatorCases", package: "MVAR"), .product(name: "MVARTraining", package: "MVAR"),
      ]),
    .executableTarget(
      name: "WindowedAttention",
      dependencies: [.product(name: "TensorCore", package: "MVAR"), .product(name: "MVARPlots", package: "MVAR")]),
    // Tables of Scripts/reproduce.
    .target(name: "MiniatureReport", dependencies: [.product(name: "MVARPlots", package: "MVAR")]),
    .executableTarget(name: "Miniature", dependencies: ["MiniatureReport"]),
    .testTarget(name: "BenchReportTests", dependencies: ["BenchReport"]),
    .testTarget(name: "MiniatureReportTests", dependencies: ["MiniatureReport"]),
  ],
  swiftLanguageModes: [.v6]
)
