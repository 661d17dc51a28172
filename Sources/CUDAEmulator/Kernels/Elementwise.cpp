#include "Prelude.hpp"

namespace {
#include "../../MVARCUDA/Kernels/Elementwise.cu"
}  // namespace

KERNEL_FILE(elementwiseKernels, "Elementwise.cu",
            KERNEL(fill), KERNEL(combine), KERNEL(scale), KERNEL(dSum), KERNEL(addRows), KERNEL(columnSums),
            KERNEL(gatedResidual), KERNEL(dGatedResidual), KERNEL(silu), KERNEL(dSilu), KERNEL(geluTanh),
            KERNEL(dGeluTanh), KERNEL(softmax), KERNEL(dSoftmax))
