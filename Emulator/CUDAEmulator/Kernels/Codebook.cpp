#include "Prelude.hpp"

namespace {
#include "../../../Sources/MVARCUDA/Kernels/Codebook.cu"
}  // namespace

KERNEL_FILE(codebookKernels, "Codebook.cu")
