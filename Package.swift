// swift-tools-version: 6.3
import PackageDescription

// Targets stand in dependency order: nothing depends on anything below it.
let package = Package(
  name: "MVAR",
  products: [
    .library(name: "TensorCore", targets: ["TensorCore"]),
    .library(name: "NeuralLayers", targets: ["NeuralLayers"]),
    .library(name: "MVAR", targets: ["MVAR"]),
    .library(name: "Checkpoints", targets: ["Checkpoints"]),
    .library(name: "Media", targets: ["Media"]),
    .library(name: "Training", targets: ["Training"]),
    .library(name: "MVARCUDA", targets: ["MVARCUDA"]),
    .executable(name: "mvar", targets: ["MVARProgram"]),
    .executable(name: "gpu-check", targets: ["GPUCheckProgram"]),
    // A CUDA driver and compiler for machines without a GPU, which tests load in the place of NVIDIA's.
    .library(name: "cuda-emulator", type: .dynamic, targets: ["CUDAEmulatorLibrary"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
    .package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.4.0"),
  ],
  targets: [
    // MARK: System libraries
    .systemLibrary(
      name: "COpenBLAS", pkgConfig: "openblas",
      providers: [.apt(["libopenblas-dev"]), .brew(["openblas"])]),
    .systemLibrary(
      name: "CPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"]), .brew(["libpng"])]),
    .systemLibrary(
      name: "CTurboJPEG", pkgConfig: "libturbojpeg",
      providers: [.apt(["libturbojpeg0-dev"]), .brew(["jpeg-turbo"])]),

    // MARK: Libraries
    .systemLibrary(name: "CProcessor"),
    .target(name: "TensorCore", dependencies: ["COpenBLAS", "CProcessor"]),
    .target(name: "NeuralLayers", dependencies: ["TensorCore"]),
    .target(name: "Files"),
    .target(name: "Checkpoints", dependencies: ["Files"]),
    .target(name: "Media", dependencies: ["Files", "CPNG", "CTurboJPEG"]),
    .target(name: "MVAR", dependencies: ["TensorCore", "NeuralLayers", "Checkpoints"]),
    .target(name: "Training", dependencies: ["TensorCore", "NeuralLayers", "MVAR", "Files", "Checkpoints", "Media"]),
    .target(name: "Verification", dependencies: ["MVAR", "Training", "Checkpoints", "Media"]),

    // MARK: CUDA: nothing of it is needed to build; its libraries are found when the program runs
    // The text of the kernels, embedded; the same files are compiled as C++ for the emulator.
    .target(name: "CUDAKernelText", path: "Sources/MVARCUDA/Kernels", sources: ["KernelText.c"]),
    .target(
      name: "MVARCUDA", dependencies: ["TensorCore", "CUDAKernelText"], path: "Sources/MVARCUDA", exclude: ["Kernels"]),

    // MARK: Commands, which the two programs are made of
    .target(
      name: "MVARTool",
      dependencies: [
        "MVAR", "NeuralLayers", "TensorCore", "Files", "Checkpoints", "Media", "Training", "Verification", "MVARCUDA",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),

    // A CUDA device made of this machine's processors, which runs the kernels' own text.
    .target(name: "CUDAEmulator"),
    .target(name: "CUDAEmulatorLibrary", dependencies: ["CUDAEmulator"]),
    // Every operator with inputs chosen to hurt, and what it should compute.
    .target(name: "OperatorCases", dependencies: ["TensorCore", "Checkpoints"], path: "Tests/OperatorCases"),
    .target(
      name: "GPUCheck",
      dependencies: [
        "MVARCUDA", "CUDAEmulator", "OperatorCases", "MVAR", "Training", "TensorCore", "NeuralLayers", "MVARTool",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),

    // MARK: Programs: a line each
    .executableTarget(name: "MVARProgram", dependencies: ["MVARTool"]),
    .executableTarget(name: "GPUCheckProgram", dependencies: ["GPUCheck"]),

    // MARK: Tests
    .target(
      name: "FaultyKernels", dependencies: ["CUDAEmulator"], path: "Tests/FaultyKernels",
      cxxSettings: [.headerSearchPath("../../Sources/CUDAEmulator")]),
    .target(
      name: "TestSupport", dependencies: ["OperatorCases", "TensorCore", "NeuralLayers", "MVAR", "Checkpoints"],
      path: "Tests/TestSupport"),
    .testTarget(name: "TensorCoreTests", dependencies: ["TensorCore", "TestSupport"]),
    .testTarget(
      name: "MVARCUDATests",
      dependencies: [
        "MVARCUDA", "CUDAEmulator", "FaultyKernels", "TensorCore", "MVAR", "Training", "Verification", "TestSupport",
      ]),
    // Runs the built program; linked into the tests, its engine of the operator cases would meet that of other tests.
    .testTarget(name: "GPUCheckTests", dependencies: ["TestSupport"]),
    .testTarget(name: "CheckpointsTests", dependencies: ["Checkpoints", "TestSupport"]),
    .testTarget(name: "MediaTests", dependencies: ["Media", "Files", "Verification", "TestSupport"]),
    .testTarget(name: "MVARTests", dependencies: ["MVAR", "Verification", "Checkpoints", "TestSupport"]),
    .testTarget(
      name: "TrainingTests",
      dependencies: ["Training", "MVAR", "NeuralLayers", "TensorCore", "Media", "Checkpoints", "TestSupport"]),
    .testTarget(
      name: "MVARToolTests", dependencies: ["MVARTool", "MVAR", "TensorCore", "Media", "Checkpoints", "TestSupport"]),
  ],
  swiftLanguageModes: [.v6],
  cxxLanguageStandard: .cxx20
)
