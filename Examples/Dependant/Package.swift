// swift-tools-version: 6.3
import PackageDescription

// A package that depends on MVAR and uses nothing but its public declarations. Its own modules have names that other packages
// like to use as well, which must not collide with any of MVAR's.
let package = Package(
  name: "Dependant",
  products: [.executable(name: "dependant", targets: ["DependantProgram"])],
  dependencies: [
    .package(name: "MVAR", path: "../..")
  ],
  targets: [
    .target(name: "Files"),
    .target(name: "Media"),
    .target(name: "Training"),
    .target(name: "Checkpoints"),
    .target(name: "Verification"),
    .target(name: "Plots"),
    .target(name: "TestSupport"),
    .target(name: "CPNG"),
    .target(name: "CZlib"),
    .target(
      name: "DependantParts",
      dependencies: [
        .product(name: "MVARPipeline", package: "MVAR"),
        .product(name: "MVAR", package: "MVAR"),
        .product(name: "MVARMedia", package: "MVAR"),
        .product(name: "MVARTraining", package: "MVAR"),
        .product(name: "MVARComparison", package: "MVAR"),
        .product(name: "OperatorCases", package: "MVAR"),
        .product(name: "TensorCore", package: "MVAR"),
      ]),
    .executableTarget(
      name: "DependantProgram",
      dependencies: [
        "DependantParts", "Files", "Media", "Training", "Checkpoints", "Verification", "Plots", "TestSupport", "CPNG",
        "CZlib",
        // For their names alone: the modules above are called like these but for the prefix.
        .product(name: "MVARFiles", package: "MVAR"),
        .product(name: "MVARCheckpoints", package: "MVAR"),
        .product(name: "MVARPlots", package: "MVAR"),
        .product(name: "MVARVerification", package: "MVAR"),
      ]),
    .testTarget(
      name: "DependantTests",
      dependencies: [
        "DependantParts", .product(name: "OperatorCases", package: "MVAR"),
        .product(name: "TensorCore", package: "MVAR"),
      ]),
  ],
  swiftLanguageModes: [.v6]
)
