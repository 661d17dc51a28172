#include "Prelude.hpp"

namespace {
#include "../../MVARCUDA/Kernels/Normalization.cu"
}  // namespace

KERNEL_FILE(normalizationKernels, "Normalization.cu",
            KERNEL(layerNorm), KERNEL(adaptiveLayerNorm), KERNEL(dLayerNorm), KERNEL(dAdaptiveLayerNorm),
            KERNEL(dAdaptiveLayerNormVectors), KERNEL(l2Normalize), KERNEL(dL2Normalize))
