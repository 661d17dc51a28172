#include "Prelude.hpp"

namespace {
#include "../../../Sources/MVARCUDA/Kernels/NeighborhoodAttention.cu"
}  // namespace

KERNEL_FILE(neighborhoodAttentionKernels, "NeighborhoodAttention.cu")
