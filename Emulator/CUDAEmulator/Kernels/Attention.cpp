#include "Prelude.hpp"

namespace {
#include "../../../Sources/MVARCUDA/Kernels/Attention.cu"
}  // namespace

KERNEL_FILE(attentionKernels, "Attention.cu")
