#include "Prelude.hpp"

namespace {
#include "../../../Sources/MVARCUDA/Kernels/SplitHeads.cu"
}  // namespace

KERNEL_FILE(splitHeadsKernels, "SplitHeads.cu")
