#include "Prelude.hpp"

namespace {
#include "../../MVARCUDA/Kernels/Normalization.cu"
}  // namespace

KERNEL_FILE(normalizationKernels, "Normalization.cu")
