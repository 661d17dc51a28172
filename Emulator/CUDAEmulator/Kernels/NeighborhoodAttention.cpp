#include "Prelude.hpp"

namespace {
#include "../../MVARCUDA/Kernels/NeighborhoodAttention.cu"
}  // namespace

KERNEL_FILE(neighborhoodAttentionKernels, "NeighborhoodAttention.cu")
