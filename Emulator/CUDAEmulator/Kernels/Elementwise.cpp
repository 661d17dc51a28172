#include "Prelude.hpp"

namespace {
#include "../../../Sources/MVARCUDA/Kernels/Elementwise.cu"
}  // namespace

KERNEL_FILE(elementwiseKernels, "Elementwise.cu")
