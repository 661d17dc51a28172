#include "Prelude.hpp"

namespace {
#include "../../MVARCUDA/Kernels/Attention.cu"
}  // namespace

KERNEL_FILE(attentionKernels, "Attention.cu")
