#include "Prelude.hpp"

namespace {
#include "../../MVARCUDA/Kernels/Resampling.cu"
}  // namespace

KERNEL_FILE(resamplingKernels, "Resampling.cu",
            KERNEL(areaResize), KERNEL(dAreaResize), KERNEL(bicubicResize), KERNEL(dBicubicResize),
            KERNEL(upsampleNearest), KERNEL(dUpsampleNearest))
