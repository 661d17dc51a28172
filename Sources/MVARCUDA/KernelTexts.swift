// The kernels by name, and the text of their files, which is embedded in the package. Both come from one list
// (Kernels/KernelList.h): operators launch kernels by cases of `Kernel`, so the name of a kernel that is not in the
// list does not compile. The arguments of a kernel are not checked here; tests do that with the emulator.

package import CUDAKernelText

/// A kernel in the list, by name.
package typealias Kernel = CUDAKernelText.Kernel

/// A file of kernels, one for each operator or family of operators.
package struct KernelFile: Sendable {
  /// The file's index in the list.
  let index: Int
  /// The file's name, such as `LayerNorm.cu`.
  package let name: String
  /// Its kernels, in the order of the list.
  package let kernels: [Kernel]
  /// Its text.
  package let text: NVRTC.Text

  /// All files, in the order of the list.
  package static let all: [KernelFile] = {
    var files: [KernelFile] = []
    var count: UInt32 = 0
    while let entry = kernel_file_at(files.count)?.pointee {
      var kernels: [Kernel] = []
      while entry.kernels[kernels.count] != nil {
        // Every number below the number of kernels is one.
        kernels.append(Kernel(rawValue: count)!)
        count += 1
      }
      let text = NVRTC.Text(name: String(cString: entry.name), text: String(cString: entry.text))
      files.append(KernelFile(index: files.count, name: text.name, kernels: kernels, text: text))
    }
    return files
  }()
}

extension Kernel {
  /// Its name in a compiled file.
  package var name: String { Self.entries[Int(rawValue)].name }

  /// The file that defines it.
  package var file: KernelFile { Self.entries[Int(rawValue)].file }

  /// The number of kernels.
  static var count: Int { entries.count }

  private static let entries: [(name: String, file: KernelFile)] = KernelFile.all.flatMap { file in
    let names = kernel_file_at(file.index)!.pointee.kernels!
    return file.kernels.indices.map { (String(cString: names[$0]!), file) }
  }
}

/// The embedded files.
package enum KernelTexts {
  /// The files of kernels (`.cu`), by name.
  package static let files = Dictionary(uniqueKeysWithValues: KernelFile.all.map { ($0.name, $0.text) })
  /// The files that they include (`.cuh`), in the order of their names.
  package static let headers: [NVRTC.Text] = {
    var texts: [NVRTC.Text] = []
    while let entry = kernel_header_at(texts.count)?.pointee {
      texts.append(NVRTC.Text(name: String(cString: entry.name), text: String(cString: entry.text)))
    }
    return texts.sorted { $0.name < $1.name }
  }()
}
