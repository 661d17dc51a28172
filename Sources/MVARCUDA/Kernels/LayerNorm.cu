// Layer and adaptive layer normalization of rows. Variances are biased (divided by the count) and computed from the
// differences to the mean rather than from a sum of squares, which would cancel.
//
// Each row has one warp, so lanes read adjacent elements and no barrier is needed; the row is read again from the cache
// for each step. Grid ⌈rows/8⌉, block 256 (8 rows), unless a kernel says otherwise.

#include "reductions.cuh"

/// The mean and 1/√(variance + ε) of a row.
struct RowStatistics {
  float mean, reciprocalDeviation;
};

static __device__ __forceinline__ RowStatistics rowStatistics(const float *x, int channels, float epsilon) {
  const int lane = threadIdx.x % 32;
  float sum = 0;
  for (int c = lane; c < channels; c += 32) sum += x[c];
  const float mean = reduceWarp<Sum>(sum) / channels;
  float squares = 0;
  for (int c = lane; c < channels; c += 32) squares += (x[c] - mean) * (x[c] - mean);
  return {mean, 1.0f / sqrtf(reduceWarp<Sum>(squares) / channels + epsilon)};
}

/// y[r, c] = x̂[r, c] = (x[r, c] − μ)·ρ,  μ = mean(x[r]),  ρ = 1/√(mean((x[r] − μ)²) + ε)
///
/// - y, x [rows, channels]; y may be x
/// - means, reciprocalDeviations [rows]: μ and ρ
KERNEL(layerNorm, float *y, float *means, float *reciprocalDeviations, const float *x, long long rows, int channels,
       float epsilon) {
  const long long row = WARP_ROW;
  if (row >= rows) return;
  const int lane = threadIdx.x % 32;
  x += row * channels;
  y += row * channels;
  const RowStatistics statistics = rowStatistics(x, channels, epsilon);
  for (int c = lane; c < channels; c += 32) y[c] = (x[c] - statistics.mean) * statistics.reciprocalDeviation;
  if (lane == 0) {
    means[row] = statistics.mean;
    reciprocalDeviations[row] = statistics.reciprocalDeviation;
  }
}

/// y[b, n, c] = x̂[b, n, c]·(1 + scale[b, c]) + shift[b, c]
///
/// - y, x [batch, tokens, channels]; y may be x
/// - means, reciprocalDeviations [batch·tokens]: the statistics that x̂ is computed with
/// - scales, shifts [batch, channels]
/// - rows: batch·tokens
KERNEL(adaptiveLayerNorm, float *y, float *means, float *reciprocalDeviations, const float *x, const float *scales,
       const float *shifts, long long rows, int tokens, int channels, float epsilon) {
  const long long row = WARP_ROW;
  if (row >= rows) return;
  const int lane = threadIdx.x % 32;
  x += row * channels;
  y += row * channels;
  scales += row / tokens * channels;
  shifts += row / tokens * channels;
  const RowStatistics statistics = rowStatistics(x, channels, epsilon);
  for (int c = lane; c < channels; c += 32) {
    y[c] = (x[c] - statistics.mean) * statistics.reciprocalDeviation * (1.0f + scales[c]) + shifts[c];
  }
  if (lane == 0) {
    means[row] = statistics.mean;
    reciprocalDeviations[row] = statistics.reciprocalDeviation;
  }
}

/// One row of dx = (dx̂ − mean(dx̂) − x̂·mean(dx̂·x̂))·ρ with dx̂[c] = dy[c]·(1 + scales[c]), or dy if scales is null:
/// the two means are the contributions through μ and ρ.
static __device__ __forceinline__ void writeRowGradient(float *dx, const float *dy, const float *x, const float *scales,
                                                        float mean, float reciprocalDeviation, int channels) {
  const int lane = threadIdx.x % 32;
  float sum = 0, projection = 0;
  for (int c = lane; c < channels; c += 32) {
    const float dNormalized = scales ? dy[c] * (1.0f + scales[c]) : dy[c];
    sum += dNormalized;
    projection += dNormalized * (x[c] - mean) * reciprocalDeviation;
  }
  sum = reduceWarp<Sum>(sum) / channels;
  projection = reduceWarp<Sum>(projection) / channels;
  for (int c = lane; c < channels; c += 32) {
    const float dNormalized = scales ? dy[c] * (1.0f + scales[c]) : dy[c];
    const float normalized = (x[c] - mean) * reciprocalDeviation;
    dx[c] = (dNormalized - sum - normalized * projection) * reciprocalDeviation;
  }
}

/// dx = (dy − mean(dy) − x̂·mean(dy·x̂))·ρ
///
/// - dx, dy, x [rows, channels]; dx may be dy
/// - means, reciprocalDeviations [rows], of `layerNorm`
KERNEL(dLayerNorm, float *dx, const float *dy, const float *x, const float *means, const float *reciprocalDeviations,
       long long rows, int channels) {
  const long long row = WARP_ROW;
  if (row >= rows) return;
  const long long start = row * channels;
  writeRowGradient(dx + start, dy + start, x + start, nullptr, means[row], reciprocalDeviations[row], channels);
}

/// The gradient of `adaptiveLayerNorm` with respect to x: as in `dLayerNorm` from dx̂ = dy·(1 + scale).
/// `dAdaptiveLayerNormVectors` computes those of the vectors.
///
/// - dx, dy, x [batch, tokens, channels]; dx may be dy, if the vectors' gradients have already been computed
/// - scales [batch, channels]
/// - means, reciprocalDeviations [batch·tokens]
/// - rows: batch·tokens
KERNEL(dAdaptiveLayerNorm, float *dx, const float *dy, const float *x, const float *scales, const float *means,
       const float *reciprocalDeviations, long long rows, int tokens, int channels) {
  const long long row = WARP_ROW;
  if (row >= rows) return;
  const long long start = row * channels;
  writeRowGradient(dx + start, dy + start, x + start, scales + row / tokens * channels, means[row],
                   reciprocalDeviations[row], channels);
}

/// dScale[b, c] = Σₙ dy[b, n, c]·x̂[b, n, c],  dShift[b, c] = Σₙ dy[b, n, c]
///
/// - dScales, dShifts [batch, channels]
/// - dy, x [batch, tokens, channels]
/// - means, reciprocalDeviations [batch·tokens]
/// - grid (⌈channels/32⌉, batch); block 256: 8 tokens of 32 channels
KERNEL(dAdaptiveLayerNormVectors, float *dScales, float *dShifts, const float *dy, const float *x, const float *means,
       const float *reciprocalDeviations, int tokens, int channels) {
  SHARED_ARRAY(float, partial, [2][8][33]);
  const int lane = threadIdx.x % 32, line = threadIdx.x / 32;
  const int channel = blockIdx.x * 32 + lane;
  const long long sample = blockIdx.y;
  float dScale = 0, dShift = 0;
  if (channel < channels) {
    for (int n = line; n < tokens; n += 8) {
      const long long row = sample * tokens + n;
      const float gradient = dy[row * channels + channel];
      dScale += gradient * (x[row * channels + channel] - means[row]) * reciprocalDeviations[row];
      dShift += gradient;
    }
  }
  partial[0][line][lane] = dScale;
  partial[1][line][lane] = dShift;
  __syncthreads();
  if (line == 0 && channel < channels) {
    for (int other = 1; other < 8; ++other) {
      dScale += partial[0][other][lane];
      dShift += partial[1][other][lane];
    }
    dScales[sample * channels + channel] = dScale;
    dShifts[sample * channels + channel] = dShift;
  }
}
