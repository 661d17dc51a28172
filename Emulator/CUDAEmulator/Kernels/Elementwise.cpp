#include "Prelude.hpp"

namespace {
#include "../../MVARCUDA/Kernels/Elementwise.cu"
}  // namespace

KERNEL_FILE(elementwiseKernels, "Elementwise.cu")
