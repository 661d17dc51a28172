// The text of the kernels, which the package carries inside, and which file holds which kernel.

import CUDAKernelText

/// The embedded kernel files.
package enum KernelTexts {
  /// The files of kernels (`.cu`), by name.
  package static let files: [String: NVRTC.Text] = Dictionary(
    uniqueKeysWithValues: all.filter { $0.name.hasSuffix(".cu") }.map { ($0.name, $0) })
  /// The files that they include (`.cuh`), in the order of their names.
  package static let headers = all.filter { $0.name.hasSuffix(".cuh") }.sorted { $0.name < $1.name }
  /// The file of every kernel, by the kernel's name.
  package static let fileOfKernel: [String: String] = files.values.reduce(into: [:]) { table, file in
    for kernel in kernelNames(in: file.text) { table[kernel] = file.name }
  }

  private static let all: [NVRTC.Text] = {
    var texts: [NVRTC.Text] = []
    var index = 0
    while let entry = kernel_text_at(index)?.pointee {
      texts.append(NVRTC.Text(name: String(cString: entry.name), text: String(cString: entry.text)))
      index += 1
    }
    return texts
  }()

  /// The kernels that a text defines: in `__global__ void [__launch_bounds__(…)] name(`, the name.
  package static func kernelNames(in text: String) -> [String] {
    var names: [String] = []
    var rest = text[...]
    while let keyword = rest.firstRange(of: "__global__") {
      rest = rest[keyword.upperBound...]
      guard let open = rest.firstIndex(of: "(") else { break }
      var words = rest[..<open].split(whereSeparator: \.isWhitespace)
      if words.last == "__launch_bounds__", let close = rest.firstIndex(of: ")") {
        rest = rest[close...].dropFirst()
        words = rest.prefix { $0 != "(" }.split(whereSeparator: \.isWhitespace)
      }
      if let name = words.last { names.append(String(name)) }
    }
    return names
  }
}
