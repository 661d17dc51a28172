#include "Prelude.hpp"

namespace {
#include "../../MVARCUDA/Kernels/SplitHeads.cu"
}  // namespace

KERNEL_FILE(splitHeadsKernels, "SplitHeads.cu")
