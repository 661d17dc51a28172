#include "Prelude.hpp"

namespace {
#include "../../MVARCUDA/Kernels/Loss.cu"
}  // namespace

KERNEL_FILE(lossKernels, "Loss.cu",
            KERNEL(crossEntropy), KERNEL(dCrossEntropy), KERNEL(sum), KERNEL(sumOfSquares), KERNEL(meanSquaredError),
            KERNEL(meanAbsoluteError), KERNEL(finishSum), KERNEL(dMeanSquaredError), KERNEL(dMeanAbsoluteError))
