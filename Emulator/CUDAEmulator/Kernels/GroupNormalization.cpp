#include "Prelude.hpp"

namespace {
#include "../../MVARCUDA/Kernels/GroupNormalization.cu"
}  // namespace

KERNEL_FILE(groupNormalizationKernels, "GroupNormalization.cu")
