// `gpu-check kernels`: compiles all kernels and shows the resources that each needs. It needs no GPU.

import ArgumentParser
import Foundation
import MVARCUDA
import MVARTool

struct Kernels: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Compile all kernels and show the registers, shared memory and spills of each.",
    discussion: """
      Needs NVIDIA's run-time compiler (MVAR_NVRTC names its file), but no GPU. Fails if a kernel does not compile, or \
      if it spills registers to memory.
      """)

  @Option(help: "The architectures to compile for, separated by commas.") var architectures = "sm_89,sm_90"
  @Option(
    help: "Keep the compiled kernels in this folder, where MVAR_CUDA_KERNELS finds them on machines without a compiler."
  )
  var keep: String?

  func run() throws {
    let compiler = try NVRTC.find(for: nil)
    let architectures = architectures.split(separator: ",").map(String.init)
    print("Compiled by NVRTC \(compiler.version).\n")
    var problems: [String] = []
    var rows = [["kernel"] + architectures.map { "\($0): registers, shared memory, stack, spills" }]
    for file in KernelFile.all {
      var columns: [[String: KernelUsage]] = []
      for architecture in architectures {
        let usage = try usage(of: file.text, architecture, compiler)
        columns.append(Dictionary(usage.map { ($0.kernel, $0) }) { first, _ in first })
      }
      for kernel in file.kernels.map(\.name) {
        var row = ["\(file.name) \(kernel)"]
        for (architecture, column) in zip(architectures, columns) {
          guard architecture.hasPrefix("sm_") else {
            row.append("—")
            continue
          }
          guard let usage = column[kernel] else {
            problems.append("\(kernel) is missing from \(file.name) for \(architecture)")
            row.append("missing")
            continue
          }
          row.append("\(usage.registers), \(usage.sharedBytes) B, \(usage.stackBytes) B, \(usage.spilledBytes) B")
          if usage.spilledBytes > 0 {
            problems.append("\(kernel) spills \(usage.spilledBytes) bytes for \(architecture)")
          }
        }
        rows.append(row)
      }
    }
    print(Markdown.table(rows))
    guard problems.isEmpty else { throw Failure(problems.joined(separator: "; ")) }
  }

  /// Compiles a file, and keeps the result if requested.
  private func usage(of file: NVRTC.Text, _ architecture: String, _ compiler: NVRTC) throws -> [KernelUsage] {
    let compiler = KernelCompiler(compiler, architecture: architecture, cache: KernelCache(folder: nil))
    // Machine code comes from an assembler that can report its resource usage; PTX does not.
    let options = architecture.hasPrefix("sm_") ? ["-Xptxas=-v"] : []
    let (image, log) = try compiler.compile(file, headers: KernelTexts.headers, options: options)
    if let keep { KernelImages.prepare(image, of: file, for: architecture, in: KernelCache(folder: keep)) }
    return KernelUsage.parse(log ?? "")
  }
}
