#include "Prelude.hpp"

namespace {
#include "../../../Sources/MVARCUDA/Kernels/Convolution.cu"
}  // namespace

KERNEL_FILE(convolutionKernels, "Convolution.cu")
