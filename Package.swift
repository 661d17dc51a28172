// swift-tools-version: 6.3
import PackageDescription

// Targets stand in dependency order: nothing depends on anything below it. All names that other packages could have as well
// carry a prefix, since module names are global in a build.
let package = Package(
  name: "MVAR",
  products: [
    .library(name: "TensorCore", targets: ["TensorCore"]),
    .library(name: "MVARFiles", targets: ["MVARFiles"]),
    .library(name: "MVARComparison", targets: ["MVARComparison"]),
    .library(name: "MVARKernelABI", targets: ["MVARKernelABI"]),
    .library(name: "OperatorCases", targets: ["OperatorCases"]),
    .library(name: "MVAR", targets: ["MVAR"]),
    .library(name: "MVARCheckpoints", targets: ["MVARCheckpoints"]),
    .library(name: "MVARMedia", targets: ["MVARMedia"]),
    .library(name: "MVARPlots", targets: ["MVARPlots"]),
    .library(name: "MVARMetrics", targets: ["MVARMetrics"]),
    .library(name: "MVARCollectives", targets: ["MVARCollectives"]),
    .library(name: "MVARTraining", targets: ["MVARTraining"]),
    .library(name: "MVARVerification", targets: ["MVARVerification"]),
    .library(name: "MVARCUDA", targets: ["MVARCUDA"]),
    .library(name: "MVARPipeline", targets: ["MVARPipeline"]),
    .executable(name: "mvar", targets: ["MVARProgram"]),
    .executable(name: "gpu-check", targets: ["MVARGPUCheckProgram"]),
    .executable(name: "mvar-fuzz", targets: ["MVARFuzz"]),
    .executable(name: "mvar-thread-check", targets: ["MVARThreadCheck"]),
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
      name: "CMVAROpenBLAS", path: "Sources/System/COpenBLAS", pkgConfig: "openblas",
      providers: [.apt(["libopenblas-dev"]), .brew(["openblas"])]),
    .systemLibrary(
      name: "CMVARPNG", path: "Sources/System/CPNG", pkgConfig: "libpng",
      providers: [.apt(["libpng-dev"]), .brew(["libpng"])]),
    .systemLibrary(
      name: "CMVARTurboJPEG", path: "Sources/System/CTurboJPEG", pkgConfig: "libturbojpeg",
      providers: [.apt(["libturbojpeg0-dev"]), .brew(["jpeg-turbo"])]),
    .systemLibrary(
      name: "CMVARZlib", path: "Sources/System/CZlib", pkgConfig: "zlib",
      providers: [.apt(["zlib1g-dev"]), .brew(["zlib"])]),
    .systemLibrary(name: "CMVARProcessor", path: "Sources/System/CProcessor"),
    .systemLibrary(name: "CMVARProcess", path: "Sources/System/CProcess"),
    .systemLibrary(name: "CMVARNCCL", path: "Sources/System/CNCCL"),

    // MARK: Libraries
    .target(name: "TensorCore", dependencies: ["CMVAROpenBLAS", "CMVARProcessor"]),
    .target(name: "MVARFiles"),
    .target(name: "MVARCheckpoints", dependencies: ["MVARFiles", "CMVARZlib"]),
    .target(name: "MVARMedia", dependencies: ["MVARFiles", "CMVARPNG", "CMVARTurboJPEG", "CMVARZlib"]),
    .target(name: "MVARPlots", dependencies: ["MVARFiles", "MVARMedia"]),
    // What passes and what does not, and the reports of it.
    .target(name: "MVARComparison"),
    // Every operator with inputs chosen to hurt, and what it should compute.
    .target(name: "OperatorCases", dependencies: ["TensorCore", "MVARComparison"]),
    .target(name: "MVAR", dependencies: ["TensorCore", "MVARFiles", "MVARCheckpoints"]),
    // FID and its like, with the network that they are defined with.
    .target(
      name: "MVARMetrics",
      dependencies: ["TensorCore", "MVAR", "MVARFiles", "MVARCheckpoints", "MVARMedia", "CMVAROpenBLAS"]),
    // What several processes of one run do together. MPI's library is found when the program runs.
    .target(name: "MVARCollectives", dependencies: ["TensorCore", "MVARFiles"]),
    .target(
      name: "MVARTraining",
      dependencies: [
        "TensorCore", "MVAR", "MVARFiles", "MVARCheckpoints", "MVARMedia", "MVARPlots", "MVARCollectives",
      ]),
    // The C interface of kernels that are judged: a header.
    .target(name: "MVARKernelABI"),
    .target(
      name: "MVARVerification",
      dependencies: [
        "MVARComparison", "OperatorCases", "MVAR", "MVARTraining", "MVARMetrics", "MVARFiles", "MVARCheckpoints",
        "MVARMedia", "MVARKernelABI", "CMVARProcess",
      ]),

    // The shipped model's files lie where scripts and readers name them; here they become resources.
    .target(
      name: "MVARShippedModel", path: "Fixtures/emoji",
      exclude: [
        "README.md", "index.json", "animal.png", "building.png", "clock.png", "clothing.png", "face.png", "flag.png",
        "food.png", "fruit.png", "hand.png", "person.png", "plant.png", "vehicle.png",
      ], sources: ["ShippedModelFiles.swift"],
      resources: [.copy("transformer.safetensors"), .copy("tokenizer.safetensors")]),
    // Images from classes for servers and apps: requests, progress, cancellation.
    .target(
      name: "MVARPipeline",
      dependencies: ["MVARFiles", "MVARShippedModel", "TensorCore", "MVAR", "MVARCheckpoints", "MVARMedia"]),

    // MARK: CUDA: nothing of it is needed to build; its libraries are found when the program runs
    // The text of the kernels, embedded; the same files are compiled as C++ for the emulator.
    .target(name: "CUDAKernelText", path: "Sources/MVARCUDA/Kernels", sources: ["KernelText.c"]),
    .target(
      name: "MVARCUDA",
      dependencies: ["TensorCore", "MVARFiles", "MVARCollectives", "CUDAKernelText", "CMVARNCCL"],
      path: "Sources/MVARCUDA", exclude: ["Kernels"]),

    // MARK: Commands, which the two programs are made of
    // The page of `mvar explain`, embedded: HTML, a style sheet and scripts.
    .target(name: "MVARExplainPage", path: "Sources/Tools/ExplainPage", sources: ["PageText.c"]),
    .target(
      name: "MVARTool",
      dependencies: [
        "MVAR", "TensorCore", "MVARFiles", "MVARCheckpoints", "MVARMedia", "MVARPlots", "MVARTraining",
        "MVARComparison", "OperatorCases", "MVARVerification", "MVARPipeline", "MVARCUDA", "MVARCollectives",
        "MVARMetrics", "MVARExplainPage",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], path: "Sources/Tools/MVARTool"),
    .target(
      name: "MVARGPUCheck",
      dependencies: [
        "MVARTool", "MVARCUDA", "MVARComparison", "OperatorCases", "MVARVerification", "MVAR", "MVARTraining",
        "TensorCore", "MVARFiles",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], path: "Sources/Tools/MVARGPUCheck"),

    // MARK: Programs: a line each
    .executableTarget(name: "MVARProgram", dependencies: ["MVARTool"], path: "Sources/Tools/mvar"),
    .executableTarget(
      name: "MVARGPUCheckProgram", dependencies: ["MVARGPUCheck"], path: "Sources/Tools/gpu-check"),

    // MARK: A CUDA device made of this machine's processors, which runs the kernels' own text
    .target(
      name: "CUDAEmulator", path: "Emulator/CUDAEmulator",
      cxxSettings: [.headerSearchPath("Kernels"), .headerSearchPath("../../Sources/MVARCUDA/Kernels")]),
    .target(name: "CUDAEmulatorLibrary", dependencies: ["CUDAEmulator"], path: "Emulator/CUDAEmulatorLibrary"),

    // MARK: Tests
    // Programs for the sanitizers, see Scripts/fuzz: every reader of files, and what threads share.
    .executableTarget(
      name: "MVARFuzz",
      dependencies: [
        "MVARFiles", "MVARCheckpoints", "MVARMedia", "MVAR", "MVARTraining", "MVARVerification", "OperatorCases",
        "TensorCore", "CMVARZlib",
      ], path: "Tests/Fuzz"),
    .executableTarget(
      name: "MVARThreadCheck", dependencies: ["TensorCore", "MVARTraining"], path: "Tests/ThreadCheck"),
    .target(
      name: "CUDAFaultyKernels", dependencies: ["CUDAEmulator"], path: "Tests/FaultyKernels",
      cxxSettings: [
        .headerSearchPath("../../Emulator/CUDAEmulator"), .headerSearchPath("../../Sources/MVARCUDA/Kernels"),
      ]),
    .target(
      name: "MVARTestSupport",
      dependencies: ["OperatorCases", "MVARComparison", "TensorCore", "MVAR", "MVARCheckpoints", "MVARVerification"],
      path: "Tests/TestSupport"),
    .testTarget(name: "TensorCoreTests", dependencies: ["TensorCore", "MVARTestSupport"]),
    .testTarget(name: "MVARComparisonTests", dependencies: ["MVARComparison"]),
    .testTarget(
      name: "OperatorCasesTests", dependencies: ["OperatorCases", "MVARComparison", "TensorCore", "MVARTestSupport"]),
    .testTarget(
      name: "MVARCUDATests",
      dependencies: [
        "MVARCUDA", "MVARFiles", "MVARCollectives", "CUDAEmulator", "CUDAFaultyKernels", "TensorCore", "MVAR",
        "MVARTraining", "MVARVerification", "MVARTestSupport",
      ]),
    // Runs the built program.
    .testTarget(
      name: "MVARGPUCheckTests", dependencies: ["OperatorCases", "MVARTestSupport"], path: "Tests/GPUCheckTests"),
    .testTarget(name: "MVARFilesTests", dependencies: ["MVARFiles", "MVARTestSupport"]),
    .testTarget(name: "MVARCheckpointsTests", dependencies: ["MVARCheckpoints", "MVARFiles", "MVARTestSupport"]),
    .testTarget(
      name: "MVARMediaTests", dependencies: ["MVARMedia", "MVARFiles", "MVARVerification", "MVARTestSupport"]),
    .testTarget(name: "MVARPlotsTests", dependencies: ["MVARPlots", "MVARMedia", "MVARFiles", "MVARTestSupport"]),
    .testTarget(
      name: "MVARTests",
      dependencies: [
        "MVAR", "MVARComparison", "MVARVerification", "MVARCheckpoints", "MVARFiles", "MVARTestSupport",
      ]),
    .testTarget(
      name: "MVARVerificationTests",
      dependencies: [
        "MVARVerification", "MVARComparison", "OperatorCases", "MVARCheckpoints", "MVARFiles", "TensorCore",
        "MVARTestSupport",
      ]),
    .testTarget(
      name: "MVARTrainingTests",
      dependencies: [
        "MVARTraining", "MVARCollectives", "MVARVerification", "MVAR", "TensorCore", "MVARMedia", "MVARCheckpoints",
        "MVARFiles",
        "MVARTestSupport",
      ]),
    .testTarget(
      name: "MVARMetricsTests",
      dependencies: [
        "MVARMetrics", "MVARVerification", "MVAR", "TensorCore", "MVARMedia", "MVARCheckpoints", "MVARFiles",
        "MVARTestSupport",
      ]),
    .testTarget(name: "MVARPipelineTests", dependencies: ["MVARPipeline", "MVARMedia", "MVARTestSupport"]),
    .testTarget(
      name: "MVARToolTests",
      dependencies: [
        "MVARTool", "MVAR", "TensorCore", "OperatorCases", "MVARMedia", "MVARCheckpoints", "MVARTraining",
        "MVARMetrics", "MVARPipeline", "MVARTestSupport", "CMVARZlib",
      ]),
  ],
  swiftLanguageModes: [.v6],
  cxxLanguageStandard: .cxx20
)
