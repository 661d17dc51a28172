// Group norm with the activation that follows it in the tokenizer.
//
// A group consists of consecutive channels of one sample with all their positions; in [B, C, H, W] its elements are
// contiguous, so the statistics are those of one run of memory. A run may be long and the groups few, so it is split
// into chunks. Each block processes one chunk (`groupNormChunks`), the means and sums of squared differences of the
// chunks are combined (`groupNormStatistics`), and then every element is normalized (`groupNorm`).

#include "reductions.cuh"

/// Elements in a chunk: 32 per thread.
#define CHUNK 8192

/// The mean m and Σ (x − m)² of every chunk of every group; differences are taken from the mean, so nothing cancels.
///
/// - chunkMeans, chunkSquares [batch·groups, chunks], chunks = ⌈count/8192⌉
/// - x [batch·groups, count]
/// - count: channels of a group times positions
/// - grid (chunks, batch·groups up to 65535: blocks stride over more); block 256
KERNEL(groupNormChunks, float *chunkMeans, float *chunkSquares, const float *x, long long count, int groups) {
  for (int group = blockIdx.y; group < groups; group += gridDim.y) {
    const float *run = x + group * count;
    const long long first = static_cast<long long>(blockIdx.x) * CHUNK;
    const long long end = min(first + CHUNK, count);
    float sum = 0;
    for (long long i = first + threadIdx.x; i < end; i += BLOCK) sum += run[i];
    const float mean = reduceBlock<Sum>(sum) / static_cast<float>(end - first);
    float squares = 0;
    for (long long i = first + threadIdx.x; i < end; i += BLOCK) squares += (run[i] - mean) * (run[i] - mean);
    squares = reduceBlock<Sum>(squares);
    if (threadIdx.x == 0) {
      chunkMeans[static_cast<long long>(group) * gridDim.x + blockIdx.x] = mean;
      chunkSquares[static_cast<long long>(group) * gridDim.x + blockIdx.x] = squares;
    }
  }
}

/// μ = Σ nᵢmᵢ/n and ρ = 1/√(Σ (sᵢ + nᵢ(mᵢ − μ)²)/n + ε) of every group, from its chunks' mean mᵢ, squares sᵢ and count
/// nᵢ.
///
/// - means, reciprocalDeviations [groups]
/// - chunkMeans, chunkSquares [groups, chunks]
/// - count: elements of a group; groups: batch·groups
/// - grid ⌈groups/8⌉; block 256: one warp per group
KERNEL(groupNormStatistics, float *means, float *reciprocalDeviations, const float *chunkMeans,
       const float *chunkSquares, long long count, int chunks, int groups, float epsilon) {
  const int group = blockIdx.x * (BLOCK / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (group >= groups) return;
  chunkMeans += static_cast<long long>(group) * chunks;
  chunkSquares += static_cast<long long>(group) * chunks;
  const float reciprocalCount = 1.0f / static_cast<float>(count);
  float mean = 0;
  for (int i = lane; i < chunks; i += 32) {
    const float share = static_cast<float>(min(count - static_cast<long long>(i) * CHUNK, (long long)CHUNK));
    mean += chunkMeans[i] * (share * reciprocalCount);
  }
  mean = reduceWarp<Sum>(mean);
  float variance = 0;
  for (int i = lane; i < chunks; i += 32) {
    const float share = static_cast<float>(min(count - static_cast<long long>(i) * CHUNK, (long long)CHUNK));
    const float difference = chunkMeans[i] - mean;
    variance += (chunkSquares[i] + share * difference * difference) * reciprocalCount;
  }
  variance = reduceWarp<Sum>(variance);
  if (lane == 0) {
    means[group] = mean;
    reciprocalDeviations[group] = 1.0f / sqrtf(variance + epsilon);
  }
}

/// y = activation(z),  z = x̂·weight[c] + bias[c],  x̂ = (x − μ)·ρ of the group
///
/// - y, x [batch, channels, positions]; y may be x
/// - means, reciprocalDeviations [batch, channels/groupChannels]
/// - weights, biases [channels]
/// - useSilu: 1 for SiLU, 0 for no activation
/// - planes: batch·channels
/// - grid (⌈positions/1024⌉, planes up to 65535: blocks stride over more); block 256: 1024 positions of a plane
KERNEL(groupNorm, float *y, const float *x, const float *means, const float *reciprocalDeviations, const float *weights,
       const float *biases, int useSilu, int channels, int groupChannels, int positions, long long planes) {
  const int first = blockIdx.x * (4 * BLOCK) + threadIdx.x;
  for (long long plane = blockIdx.y; plane < planes; plane += gridDim.y) {
    const int channel = static_cast<int>(plane % channels);
    const long long group = plane / groupChannels;
    const float mean = means[group], factor = reciprocalDeviations[group] * weights[channel], bias = biases[channel];
    for (int j = 0; j < 4; ++j) {
      const int position = first + j * BLOCK;
      if (position >= positions) break;
      const float z = (x[plane * positions + position] - mean) * factor + bias;
      y[plane * positions + position] = useSilu ? siluValue(z) : z;
    }
  }
}

/// The gradient before the activation, at z = x̂·weight + bias.
static __device__ __forceinline__ float beforeActivation(float dy, float normalized, float weight, float bias,
                                                         int useSilu) {
  return useSilu ? dy * siluSlope(normalized * weight + bias) : dy;
}

/// Σ dz·x̂ and Σ dz over the positions of every plane, dz = dy·activation′(z): summed over the batch (`columnSums`)
/// they are the gradients of weight and bias, and `dGroupNorm` needs them per plane.
///
/// - dWeightTerms, dBiasTerms [batch, channels]
/// - dy, x [batch, channels, positions]
/// - means, reciprocalDeviations [batch, channels/groupChannels]
/// - weights, biases [channels]
/// - grid: batch·channels; block 256: one block per plane
KERNEL(dGroupNormTerms, float *dWeightTerms, float *dBiasTerms, const float *dy, const float *x, const float *means,
       const float *reciprocalDeviations, const float *weights, const float *biases, int useSilu, int channels,
       int groupChannels, int positions) {
  const long long plane = blockIdx.x;
  const int channel = static_cast<int>(plane % channels);
  const long long group = plane / groupChannels;
  const float mean = means[group], reciprocalDeviation = reciprocalDeviations[group];
  float dWeight = 0, dBias = 0;
  for (int position = threadIdx.x; position < positions; position += BLOCK) {
    const long long i = plane * positions + position;
    const float normalized = (x[i] - mean) * reciprocalDeviation;
    const float dz = beforeActivation(dy[i], normalized, weights[channel], biases[channel], useSilu);
    dWeight += dz * normalized;
    dBias += dz;
  }
  dWeight = reduceBlock<Sum>(dWeight);
  dBias = reduceBlock<Sum>(dBias);
  if (threadIdx.x == 0) {
    dWeightTerms[plane] = dWeight;
    dBiasTerms[plane] = dBias;
  }
}

/// dx = (dx̂ − mean(dx̂) − x̂·mean(dx̂·x̂))·ρ over the group, dx̂ = dz·weight[c]. The two means are weighted sums of
/// the terms of the group's planes.
///
/// - dx, dy, x [batch, channels, positions]; dx may be dy
/// - dWeightTerms, dBiasTerms [batch, channels], of `dGroupNormTerms`
/// - the rest as in `groupNorm`
/// - grid (⌈positions/1024⌉, planes up to 65535: blocks stride over more); block 256: 1024 positions of a plane
KERNEL(dGroupNorm, float *dx, const float *dy, const float *x, const float *dWeightTerms, const float *dBiasTerms,
       const float *means, const float *reciprocalDeviations, const float *weights, const float *biases, int useSilu,
       int channels, int groupChannels, int positions, long long planes) {
  const int first = blockIdx.x * (4 * BLOCK) + threadIdx.x;
  for (long long plane = blockIdx.y; plane < planes; plane += gridDim.y) {
    const int channel = static_cast<int>(plane % channels);
    const long long group = plane / groupChannels;
    // A group has a handful of channels; every thread sums them itself, in order.
    float sum = 0, projection = 0;
    for (int j = 0; j < groupChannels; ++j) {
      const float weight = weights[channel / groupChannels * groupChannels + j];
      sum += weight * dBiasTerms[group * groupChannels + j];
      projection += weight * dWeightTerms[group * groupChannels + j];
    }
    const float count = static_cast<float>(static_cast<long long>(groupChannels) * positions);
    const float mean = means[group], reciprocalDeviation = reciprocalDeviations[group];
    const float weight = weights[channel], bias = biases[channel];
    for (int j = 0; j < 4; ++j) {
      const int position = first + j * BLOCK;
      if (position >= positions) break;
      const long long i = plane * positions + position;
      const float normalized = (x[i] - mean) * reciprocalDeviation;
      const float dz = beforeActivation(dy[i], normalized, weight, bias, useSilu);
      dx[i] = (dz * weight - sum / count - normalized * projection / count) * reciprocalDeviation;
    }
  }
}
