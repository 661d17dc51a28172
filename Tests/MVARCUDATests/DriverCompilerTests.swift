// The run-time compiler, where this machine has one: it needs no GPU. Elsewhere these tests are skipped.

import Foundation
import MVARCUDA
import MVARTestSupport
import Testing

/// This machine's compiler, if any.
private let machineCompiler = try? NVRTC.find(for: nil)

@Suite(.enabled(if: machineCompiler != nil, "there is no NVRTC on this machine"))
struct DriverCompilerTests {
  private let source = NVRTC.Text(
    name: "Twice.cu",
    text: """
      #include "factor.cuh"
      extern "C" __global__ void twice(float *y, const float *x) { y[threadIdx.x] = FACTOR * x[threadIdx.x]; }
      """)
  private let header = NVRTC.Text(name: "factor.cuh", text: "#define FACTOR 2\n")

  private func compiler(_ capability: ComputeCapability, cache: String? = nil) throws -> KernelCompiler {
    try KernelCompiler(try #require(machineCompiler), for: capability, cache: KernelCache(folder: cache))
  }

  @Test func machineCodeForAKnownDevice() throws {
    let compiler = try compiler(ComputeCapability(major: 8, minor: 9))
    #expect(compiler.architecture == "sm_89")
    let image = try compiler.compile(source, headers: [header]).image
    #expect(image.starts(with: [0x7f] + Array("ELF".utf8)))
  }

  @Test func intermediateCodeForALaterDevice() throws {
    let compiler = try compiler(ComputeCapability(major: 99, minor: 0))
    #expect(compiler.architecture == "compute_\(try #require(compiler.compiler.architectures.last))")
    let image = try compiler.compile(source, headers: [header]).image
    #expect(image.last == 0 && String(decoding: image, as: UTF8.self).contains(".entry twice"))
  }

  @Test func deviceThatIsTooOld() {
    let error = cudaError { _ = try compiler(ComputeCapability(major: 1, minor: 0)) }
    #expect(error?.description.hasSuffix("does not compile for compute capability 1.0") == true)
  }

  @Test func compilerThatIsTooNew() throws {
    let name = try #require(machineCompiler).name
    let error = cudaError { _ = try NVRTC(name, for: CUDAVersion(major: 11, minor: 8)) }
    #expect(error?.description.hasSuffix("is too new for the driver, which knows CUDA 11.8") == true)
  }

  @Test func mistakesAreTheCompilersWords() throws {
    let compiler = try compiler(ComputeCapability(major: 8, minor: 9))
    let wrong = NVRTC.Text(name: "Wrong.cu", text: "__global__ void wrong() { undeclared(); }")
    let error = cudaError { _ = try compiler.compile(wrong, headers: []) }
    guard case .compilation("Wrong.cu", "sm_89", let log) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(log.contains("identifier \"undeclared\" is undefined"))
  }

  @Test func compiledOnce() throws {
    try withTemporaryFolder { folder in
      let compiler = try compiler(ComputeCapability(major: 8, minor: 9), cache: folder)
      let first = try compiler.compile(source, headers: [header])
      let second = try compiler.compile(source, headers: [header])
      #expect(first.log != nil && second.log == nil && first.image == second.image)
      // A damaged entry is compiled again.
      let file = try #require(FileManager.default.contentsOfDirectory(atPath: folder).first)
      try Data("MVARCUDA".utf8).write(to: URL(filePath: "\(folder)/\(file)"))
      #expect(try compiler.compile(source, headers: [header]).log != nil)
      #expect(try compiler.compile(source, headers: [header]).log == nil)
    }
  }

  @Test func everythingCountsForTheKey() throws {
    let (first, second) = (
      try compiler(ComputeCapability(major: 8, minor: 9)), try compiler(ComputeCapability(major: 9, minor: 0))
    )
    func key(_ compiler: KernelCompiler, _ source: NVRTC.Text, _ header: NVRTC.Text, _ options: [String]) -> String {
      compiler.key(source, headers: [header], options: ["--gpu-architecture=\(compiler.architecture)"] + options)
    }
    let keys = [
      key(first, source, header, []), key(second, source, header, []), key(first, source, header, ["-DX"]),
      key(first, NVRTC.Text(name: source.name, text: source.text + " "), header, []),
      key(first, source, NVRTC.Text(name: header.name, text: "#define FACTOR 3\n"), []),
      key(first, NVRTC.Text(name: "Thrice.cu", text: source.text), header, []),
    ]
    #expect(Set(keys).count == keys.count)
  }

  /// Every kernel compiles for the GPUs that the package is meant for, without spilling registers to memory.
  @Test(arguments: [ComputeCapability(major: 8, minor: 9), ComputeCapability(major: 9, minor: 0)])
  func kernels(_ capability: ComputeCapability) throws {
    let compiler = try compiler(capability)
    for file in KernelTexts.files.values.sorted(by: { $0.name < $1.name }) {
      let log = try compiler.compile(file, headers: KernelTexts.headers, options: ["-Xptxas=-v"]).log ?? ""
      let kernels = KernelUsage.parse(log)
      #expect(Set(kernels.map(\.kernel)) == Emulator.kernels(of: file.name))
      for kernel in kernels { #expect(kernel.spilledBytes == 0, "\(file.name): \(kernel)") }
    }
  }
}
