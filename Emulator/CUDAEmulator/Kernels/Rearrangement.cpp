#include "Prelude.hpp"

namespace {
#include "../../MVARCUDA/Kernels/Rearrangement.cu"
}  // namespace

KERNEL_FILE(rearrangementKernels, "Rearrangement.cu")
