#include "Prelude.hpp"

namespace {
#include "../../MVARCUDA/Kernels/Resampling.cu"
}  // namespace

KERNEL_FILE(resamplingKernels, "Resampling.cu")
