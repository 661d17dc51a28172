#include "Prelude.hpp"

namespace {
#include "../../../Sources/MVARCUDA/Kernels/Normalization.cu"
}  // namespace

KERNEL_FILE(normalizationKernels, "Normalization.cu")
