#include "Prelude.hpp"

namespace {
#include "../../MVARCUDA/Kernels/Loss.cu"
}  // namespace

KERNEL_FILE(lossKernels, "Loss.cu")
