#include "Prelude.hpp"

namespace {
#include "../../MVARCUDA/Kernels/Convolution.cu"
}  // namespace

KERNEL_FILE(convolutionKernels, "Convolution.cu")
