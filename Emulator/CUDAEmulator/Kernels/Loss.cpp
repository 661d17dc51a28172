#include "Prelude.hpp"

namespace {
#include "../../../Sources/MVARCUDA/Kernels/Loss.cu"
}  // namespace

KERNEL_FILE(lossKernels, "Loss.cu")
