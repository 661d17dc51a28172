#include "Prelude.hpp"

namespace {
#include "../../MVARCUDA/Kernels/LinearAlgebra.cu"
}  // namespace

KERNEL_FILE(linearAlgebraKernels, "LinearAlgebra.cu")
