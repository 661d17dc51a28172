// The text of the CUDA kernels, embedded: the compiler copies the files themselves, so there is nothing to keep in step
// but the list.

#include "KernelText.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

// The text of a file with a zero behind it. (#embed takes a literal name only, hence one array for each file.)
static const char attentionHeader[] = {
#embed "attention.cuh" suffix(, 0)
};
static const char portableHeader[] = {
#embed "portable.cuh" suffix(, 0)
};
static const char productHeader[] = {
#embed "product.cuh" suffix(, 0)
};
static const char reductionsHeader[] = {
#embed "reductions.cuh" suffix(, 0)
};
static const char attentionKernels[] = {
#embed "Attention.cu" suffix(, 0)
};
static const char codebookKernels[] = {
#embed "Codebook.cu" suffix(, 0)
};
static const char convolutionKernels[] = {
#embed "Convolution.cu" suffix(, 0)
};
static const char elementwiseKernels[] = {
#embed "Elementwise.cu" suffix(, 0)
};
static const char groupNormalizationKernels[] = {
#embed "GroupNormalization.cu" suffix(, 0)
};
static const char linearAlgebraKernels[] = {
#embed "LinearAlgebra.cu" suffix(, 0)
};
static const char lossKernels[] = {
#embed "Loss.cu" suffix(, 0)
};
static const char neighborhoodAttentionKernels[] = {
#embed "NeighborhoodAttention.cu" suffix(, 0)
};
static const char normalizationKernels[] = {
#embed "Normalization.cu" suffix(, 0)
};
static const char optimizerKernels[] = {
#embed "Optimizer.cu" suffix(, 0)
};
static const char rearrangementKernels[] = {
#embed "Rearrangement.cu" suffix(, 0)
};
static const char resamplingKernels[] = {
#embed "Resampling.cu" suffix(, 0)
};
static const char samplingKernels[] = {
#embed "Sampling.cu" suffix(, 0)
};
static const char splitHeadsKernels[] = {
#embed "SplitHeads.cu" suffix(, 0)
};

#define TEXT(name, text) {name, text, sizeof text - 1}

/// All files; headers, which kernels include by these names, are among them.
static const kernel_text texts[] = {
    TEXT("attention.cuh", attentionHeader),
    TEXT("portable.cuh", portableHeader),
    TEXT("product.cuh", productHeader),
    TEXT("reductions.cuh", reductionsHeader),
    TEXT("Attention.cu", attentionKernels),
    TEXT("Codebook.cu", codebookKernels),
    TEXT("Convolution.cu", convolutionKernels),
    TEXT("Elementwise.cu", elementwiseKernels),
    TEXT("GroupNormalization.cu", groupNormalizationKernels),
    TEXT("LinearAlgebra.cu", linearAlgebraKernels),
    TEXT("Loss.cu", lossKernels),
    TEXT("NeighborhoodAttention.cu", neighborhoodAttentionKernels),
    TEXT("Normalization.cu", normalizationKernels),
    TEXT("Optimizer.cu", optimizerKernels),
    TEXT("Rearrangement.cu", rearrangementKernels),
    TEXT("Resampling.cu", resamplingKernels),
    TEXT("Sampling.cu", samplingKernels),
    TEXT("SplitHeads.cu", splitHeadsKernels),
};

const kernel_text *kernel_text_at(size_t index) {
  return index < sizeof texts / sizeof *texts ? &texts[index] : 0;
}
