// The text of the kernels, which the package carries inside.

import CUDAKernelText

/// A file of kernels, one for each family of operators.
package enum KernelFile: String, CaseIterable, Sendable {
  case attention = "Attention.cu"
  case codebook = "Codebook.cu"
  case convolution = "Convolution.cu"
  case elementwise = "Elementwise.cu"
  case groupNormalization = "GroupNormalization.cu"
  case linearAlgebra = "LinearAlgebra.cu"
  case loss = "Loss.cu"
  case neighborhoodAttention = "NeighborhoodAttention.cu"
  case normalization = "Normalization.cu"
  case optimizer = "Optimizer.cu"
  case rearrangement = "Rearrangement.cu"
  case resampling = "Resampling.cu"
  case sampling = "Sampling.cu"
  case splitHeads = "SplitHeads.cu"
}

/// The embedded files.
package enum KernelTexts {
  /// The files of kernels (`.cu`), by name.
  package static let files: [String: NVRTC.Text] = Dictionary(
    uniqueKeysWithValues: all.filter { $0.name.hasSuffix(".cu") }.map { ($0.name, $0) })
  /// The files that they include (`.cuh`), in the order of their names.
  package static let headers = all.filter { $0.name.hasSuffix(".cuh") }.sorted { $0.name < $1.name }

  private static let all: [NVRTC.Text] = {
    var texts: [NVRTC.Text] = []
    var index = 0
    while let entry = kernel_text_at(index)?.pointee {
      texts.append(NVRTC.Text(name: String(cString: entry.name), text: String(cString: entry.text)))
      index += 1
    }
    return texts
  }()
}
