#include "Prelude.hpp"

namespace {
#include "../../../Sources/MVARCUDA/Kernels/Rearrangement.cu"
}  // namespace

KERNEL_FILE(rearrangementKernels, "Rearrangement.cu")
