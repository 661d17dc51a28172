#include "Prelude.hpp"

namespace {
#include "../../MVARCUDA/Kernels/Convolution.cu"
}  // namespace

KERNEL_FILE(convolutionKernels, "Convolution.cu",
            KERNEL(planeSums), KERNEL(convolutionFloat32), KERNEL(convolutionTF32), KERNEL(convolutionBF16),
            KERNEL(dConvolutionInputFloat32), KERNEL(dConvolutionInputTF32), KERNEL(dConvolutionInputBF16),
            KERNEL(dConvolutionWeightFloat32), KERNEL(dConvolutionWeightTF32), KERNEL(dConvolutionWeightBF16))
