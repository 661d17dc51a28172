#include "Prelude.hpp"

namespace {
#include "../../../Sources/MVARCUDA/Kernels/LinearAlgebra.cu"
}  // namespace

KERNEL_FILE(linearAlgebraKernels, "LinearAlgebra.cu")
