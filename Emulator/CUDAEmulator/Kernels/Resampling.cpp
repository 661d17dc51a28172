#include "Prelude.hpp"

namespace {
#include "../../../Sources/MVARCUDA/Kernels/Resampling.cu"
}  // namespace

KERNEL_FILE(resamplingKernels, "Resampling.cu")
