#include "Prelude.hpp"

namespace {
#include "../../MVARCUDA/Kernels/Optimizer.cu"
}  // namespace

KERNEL_FILE(optimizerKernels, "Optimizer.cu")
