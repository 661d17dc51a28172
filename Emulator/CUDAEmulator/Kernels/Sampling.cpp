#include "Prelude.hpp"

namespace {
#include "../../MVARCUDA/Kernels/Sampling.cu"
}  // namespace

KERNEL_FILE(samplingKernels, "Sampling.cu")
