// The list of kernels, the files of kernels and the emulator agree: nothing is listed that no file defines, no file
// defines an unlisted kernel, and operators launch only names in the list, which the compiler ensures.

import CUDAEmulator
import Foundation
import MVARCUDA
import MVARTestSupport
import Testing

@Suite struct KernelListTests {
  /// The kernels that the text of a file defines, in its order: those in words, and those of macros such as
  /// `#define LINEAR(precision) KERNEL(linear##precision, …)`, one for each line `LINEAR(TF32)`.
  private func definitions(_ text: String) -> [String] {
    var macros: [String: (parameter: String, body: String)] = [:]
    var names: [String] = []
    // A line that ends with a backslash continues.
    for line in text.replacing(/\\\n/, with: " ").split(separator: "\n") {
      if let macro = line.firstMatch(of: /^#define (\w+)\((\w+)\) +(.*)/) {
        macros[String(macro.1)] = (String(macro.2), String(macro.3))
      } else if let name = definition(line) {
        names.append(name)
      } else if let use = line.firstMatch(of: /^(\w+)\((\w+)\)$/), let macro = macros[String(use.1)] {
        let body = macro.body.replacing("##\(macro.parameter)", with: use.2)
        if let name = definition(body[...]) { names.append(name) }
      }
    }
    return names
  }

  private func definition(_ line: Substring) -> String? {
    line.firstMatch(of: /^\s*(?:KERNEL\(|RESIDENT_KERNEL\(\w+, *)(\w+),/).map { String($0.1) }
  }

  private let emulatedFiles = (0...).lazy.map { cudaemu_file_at($0) }.prefix { $0 != nil }.map { String(cString: $0!) }

  /// The list has the files of the folder, and so does the emulator; the headers that they include are embedded as
  /// well.
  @Test func files() throws {
    let listed = KernelFile.all.map(\.name)
    let folder = Fixtures.root.deletingLastPathComponent().appending(path: "Sources/MVARCUDA/Kernels")
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path(percentEncoded: false)).sorted()
    #expect(listed.sorted() == names.filter { $0.hasSuffix(".cu") })
    #expect(listed == Array(emulatedFiles))
    #expect(KernelTexts.headers.map(\.name) == names.filter { $0.hasSuffix(".cuh") })
    for text in KernelFile.all.map(\.text) + KernelTexts.headers {
      #expect(try text.text == String(contentsOf: folder.appending(path: text.name), encoding: .utf8))
    }
  }

  @Test("A file defines what is listed for it, and nothing else", arguments: KernelFile.all.map(\.name))
  func kernels(name: String) throws {
    let file = try #require(KernelFile.all.first { $0.name == name })
    let listed = file.kernels.map(\.name)
    #expect(!listed.isEmpty && definitions(file.text.text).sorted() == listed.sorted())
    #expect(Emulator.kernels(of: name) == Set(listed))
    // There is no other way to define a kernel.
    #expect(!file.text.text.contains("__global__"))
  }

  /// A name stands for one kernel, and knows its file.
  @Test func names() {
    let kernels = KernelFile.all.flatMap(\.kernels)
    #expect(Set(kernels.map(\.name)).count == kernels.count)
    #expect(kernels.map(\.rawValue) == Array(0..<UInt32(kernels.count)))
    for (kernel, name, file) in [
      (Kernel.attention, "attention", "Attention.cu"), (.sampleTokens, "sampleTokens", "Sampling.cu"),
      (.dLinearInputFloat32Small, "dLinearInputFloat32Small", "Linear.cu"),
      (.dSplitHeads, "dSplitHeads", "SplitHeads.cu"),
    ] {
      #expect(kernel.name == name && kernel.file.name == file)
    }
  }

  /// The comparison relies on this: every way to define a kernel is recognized.
  @Test func definitionsAreSeen() {
    let text = """
      /// KERNEL(comment, float *y) is not one.
      KERNEL(plain, float *y) {
      RESIDENT_KERNEL(6, resident, float *y,
             int count) {
      #define BOTH(precision)          \\
        KERNEL(both##precision, float *y) { \\
        }
      #define SQUARE 8
      BOTH(TF32)
      BOTH(BF16)
      """
    #expect(definitions(text) == ["plain", "resident", "bothTF32", "bothBF16"])
  }
}
