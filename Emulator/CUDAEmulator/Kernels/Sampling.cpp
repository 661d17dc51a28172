#include "Prelude.hpp"

namespace {
#include "../../../Sources/MVARCUDA/Kernels/Sampling.cu"
}  // namespace

KERNEL_FILE(samplingKernels, "Sampling.cu")
