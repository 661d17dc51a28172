#include "Prelude.hpp"

namespace {
#include "../../MVARCUDA/Kernels/LinearAlgebra.cu"
}  // namespace

KERNEL_FILE(linearAlgebraKernels, "LinearAlgebra.cu",
            KERNEL(linearFloat32), KERNEL(linearFloat32Small), KERNEL(linearTF32), KERNEL(linearBF16),
            KERNEL(dLinearInputFloat32), KERNEL(dLinearInputFloat32Small), KERNEL(dLinearInputTF32),
            KERNEL(dLinearInputBF16), KERNEL(dLinearWeightFloat32), KERNEL(dLinearWeightFloat32Small),
            KERNEL(dLinearWeightTF32), KERNEL(dLinearWeightBF16))
