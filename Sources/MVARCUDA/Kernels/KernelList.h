// Every file of CUDA kernels and every kernel in it, listed once: the embedded text (KernelText.c), the names that
// operators launch by (include/KernelText.h, which Swift imports) and the emulator all read this list. A kernel that is
// not here cannot be launched; one that is here but in no file, or vice versa, does not compile for the emulator.
//
// For each file the list includes EACH_KERNEL_FILE, a header provided by the includer of the list, with these macros,
// two of which that header undefines:
//
// - KERNEL_FILE: the file's name without its extension
// - KERNELS(EACH): EACH(name) for every kernel of the file; kernels for several precisions are listed one by one
// - KERNEL_FILE_NAME: the file's name as a string, which #include and #embed take
//
// If EACH_KERNEL_FILE is not defined, it is KernelListEntry.h, which expands a macro.

#ifndef EACH_KERNEL_FILE
#define EACH_KERNEL_FILE "KernelListEntry.h"
#endif

#ifndef KERNEL_FILE_NAME
#define KERNEL_TEXT_OF(tokens) #tokens
#define KERNEL_STRING(tokens) KERNEL_TEXT_OF(tokens)
#define KERNEL_FILE_NAME KERNEL_STRING(KERNEL_FILE.cu)
#endif

#define KERNEL_FILE Attention
#define KERNELS(EACH)                                                                                      \
  EACH(attention) EACH(attentionSmall) EACH(dAttentionMeans) EACH(dAttentionQueries) EACH(dAttentionKeys)
#include EACH_KERNEL_FILE

#define KERNEL_FILE Codebook
#define KERNELS(EACH) EACH(embedding) EACH(dEmbedding) EACH(squaredNorms) EACH(nearestCode)
#include EACH_KERNEL_FILE

#define KERNEL_FILE Convolution
#define KERNELS(EACH)                                                                                      \
  EACH(convolutionFloat32) EACH(convolutionTF32) EACH(convolutionBF16)                                     \
  EACH(dConvolutionInputFloat32) EACH(dConvolutionInputTF32) EACH(dConvolutionInputBF16)                   \
  EACH(dConvolutionWeightFloat32) EACH(dConvolutionWeightTF32) EACH(dConvolutionWeightBF16)                \
  EACH(planeSums)
#include EACH_KERNEL_FILE

#define KERNEL_FILE Elementwise
#define KERNELS(EACH)                                                                                      \
  EACH(fill) EACH(combine) EACH(scale) EACH(dSum) EACH(addRows) EACH(columnSums)                           \
  EACH(gatedResidual) EACH(dGatedResidual)                                                                 \
  EACH(silu) EACH(dSilu) EACH(geluTanh) EACH(dGeluTanh) EACH(softmax) EACH(dSoftmax)
#include EACH_KERNEL_FILE

#define KERNEL_FILE GroupNorm
#define KERNELS(EACH)                                                                                      \
  EACH(groupNormChunks) EACH(groupNormStatistics) EACH(groupNorm) EACH(dGroupNormTerms) EACH(dGroupNorm)
#include EACH_KERNEL_FILE

#define KERNEL_FILE L2Normalize
#define KERNELS(EACH) EACH(l2Normalize) EACH(dL2Normalize)
#include EACH_KERNEL_FILE

#define KERNEL_FILE LayerNorm
#define KERNELS(EACH)                                                                                      \
  EACH(layerNorm) EACH(adaptiveLayerNorm) EACH(dLayerNorm) EACH(dAdaptiveLayerNorm)                        \
  EACH(dAdaptiveLayerNormVectors)
#include EACH_KERNEL_FILE

#define KERNEL_FILE Linear
#define KERNELS(EACH)                                                                                      \
  EACH(linearFloat32) EACH(linearFloat32Small) EACH(linearTF32) EACH(linearBF16)                           \
  EACH(dLinearInputFloat32) EACH(dLinearInputFloat32Small) EACH(dLinearInputTF32) EACH(dLinearInputBF16)   \
  EACH(dLinearWeightFloat32) EACH(dLinearWeightFloat32Small) EACH(dLinearWeightTF32) EACH(dLinearWeightBF16)\
  EACH(roundToBF16)
#include EACH_KERNEL_FILE

#define KERNEL_FILE Loss
#define KERNELS(EACH)                                                                                      \
  EACH(crossEntropy) EACH(dCrossEntropy)                                                                   \
  EACH(sum) EACH(sumOfSquares) EACH(meanSquaredError) EACH(meanAbsoluteError) EACH(finishSum)              \
  EACH(dMeanSquaredError) EACH(dMeanAbsoluteError)
#include EACH_KERNEL_FILE

#define KERNEL_FILE NeighborhoodAttention
#define KERNELS(EACH)                                                                                      \
  EACH(neighborhoodAttention) EACH(dNeighborhoodAttentionQueries) EACH(dNeighborhoodAttentionKeys)
#include EACH_KERNEL_FILE

#define KERNEL_FILE Optimizer
#define KERNELS(EACH) EACH(adamW)
#include EACH_KERNEL_FILE

#define KERNEL_FILE Pooling
#define KERNELS(EACH) EACH(relu) EACH(maxPool) EACH(averagePool)
#include EACH_KERNEL_FILE

#define KERNEL_FILE Rearrange
#define KERNELS(EACH) EACH(transpose) EACH(slice) EACH(concatenate) EACH(dSlice)
#include EACH_KERNEL_FILE

#define KERNEL_FILE Resampling
#define KERNELS(EACH)                                                                                      \
  EACH(areaResize) EACH(dAreaResize) EACH(bicubicResize) EACH(dBicubicResize)                              \
  EACH(upsampleNearest) EACH(dUpsampleNearest)
#include EACH_KERNEL_FILE

#define KERNEL_FILE Sampling
#define KERNELS(EACH) EACH(guide) EACH(filterLogits) EACH(sampleTokens) EACH(gumbelSoftmax)
#include EACH_KERNEL_FILE

#define KERNEL_FILE SplitHeads
#define KERNELS(EACH) EACH(splitHeads) EACH(dSplitHeads)
#include EACH_KERNEL_FILE

#undef EACH_KERNEL_FILE
