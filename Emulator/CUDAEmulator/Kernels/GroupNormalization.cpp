#include "Prelude.hpp"

namespace {
#include "../../../Sources/MVARCUDA/Kernels/GroupNormalization.cu"
}  // namespace

KERNEL_FILE(groupNormalizationKernels, "GroupNormalization.cu")
