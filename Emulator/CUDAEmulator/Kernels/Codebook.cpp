#include "Prelude.hpp"

namespace {
#include "../../MVARCUDA/Kernels/Codebook.cu"
}  // namespace

KERNEL_FILE(codebookKernels, "Codebook.cu")
