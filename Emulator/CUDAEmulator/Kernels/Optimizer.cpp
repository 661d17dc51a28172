#include "Prelude.hpp"

namespace {
#include "../../../Sources/MVARCUDA/Kernels/Optimizer.cu"
}  // namespace

KERNEL_FILE(optimizerKernels, "Optimizer.cu")
