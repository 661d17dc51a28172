// The qkv projection split into queries, keys and values per head; with a logit scale, queries and keys are normalized
// (cosine attention) and the learned temperature of the head multiplies the queries.
//
// A warp processes one head of one token: `width` contiguous elements each of q, k and v.

#include "reductions.cuh"

/// The smallest divisor, and the largest logit scale, ln 100.
#define SMALLEST_NORM 1e-12f
#define LARGEST_LOGIT_SCALE 4.605170185988092f

/// The head of a token that this thread's warp processes, counted over all tokens; may be past the last.
#define WARP_ITEM (static_cast<long long>(blockIdx.x) * (BLOCK / 32) + threadIdx.x / 32)

/// x·y over the head's width, in every lane.
static __device__ __forceinline__ float dot(const float *x, const float *y, int width) {
  float sum = 0;
  for (int c = threadIdx.x % 32; c < width; c += 32) sum += x[c] * y[c];
  return reduceWarp<Sum>(sum);
}

/// q = x/max(‖x‖, 10⁻¹²)·exp(min(s, ln 100)), k = x/max(‖x‖, 10⁻¹²), v = x; without s, all three are x.
///
/// - queries, keys, values [rows, heads, width]
/// - qkv [rows, 3, heads, width]; rows = batch·tokens
/// - logitScales: s [heads], or null for no normalization
/// - grid ⌈rows·heads/8⌉; block 256
KERNEL(splitHeads, float *queries, float *keys, float *values, const float *qkv, const float *logitScales,
       long long rows, int heads, int width) {
  const long long item = WARP_ITEM;
  if (item >= rows * heads) return;
  const long long row = item / heads;
  const int head = static_cast<int>(item - row * heads);
  const long long part = static_cast<long long>(heads) * width;
  const float *q = qkv + row * 3 * part + static_cast<long long>(head) * width, *k = q + part, *v = k + part;
  float queryFactor = 1, keyFactor = 1;
  if (logitScales) {
    queryFactor = expf(fminf(logitScales[head], LARGEST_LOGIT_SCALE)) / fmaxf(sqrtf(dot(q, q, width)), SMALLEST_NORM);
    keyFactor = 1.0f / fmaxf(sqrtf(dot(k, k, width)), SMALLEST_NORM);
  }
  const long long start = item * width;
  for (int c = threadIdx.x % 32; c < width; c += 32) {
    queries[start + c] = q[c] * queryFactor;
    keys[start + c] = k[c] * keyFactor;
    values[start + c] = v[c];
  }
}

/// The gradients of `splitHeads`. With x̂ = x/‖x‖ and g = exp(min(s, ln 100)) for queries, 1 for keys:
/// dx = g·(dq − x̂·(x̂·dq))/‖x‖; where the norm is clamped, dx = g·dq/10⁻¹². For values, dx = dv.
///
/// The logit scale's gradient is Σ q·dq over all tokens, 0 where s > ln 100; this kernel writes the terms, and
/// `columnSums` (Elementwise.cu) adds them.
///
/// - dQKV, qkv [rows, 3, heads, width]
/// - dLogitScaleTerms [rows, heads]; not written without logit scales
/// - dQueries, dKeys, dValues [rows, heads, width]
/// - logitScales [heads], or null
/// - grid ⌈rows·heads/8⌉; block 256
KERNEL(dSplitHeads, float *dQKV, float *dLogitScaleTerms, const float *dQueries, const float *dKeys,
       const float *dValues, const float *qkv, const float *logitScales, long long rows, int heads, int width) {
  const long long item = WARP_ITEM;
  if (item >= rows * heads) return;
  const int lane = threadIdx.x % 32;
  const long long row = item / heads;
  const int head = static_cast<int>(item - row * heads);
  const long long part = static_cast<long long>(heads) * width;
  const long long first = row * 3 * part + static_cast<long long>(head) * width;
  const long long start = item * width;
  for (int which = 0; which < 2; ++which) {
    const float *x = qkv + first + which * part;
    const float *dy = (which == 0 ? dQueries : dKeys) + start;
    // The component of the gradient along x: the normalization removes it, unless the norm is clamped.
    float factor = 1, along = 0;
    if (logitScales) {
      const float gain = which == 0 ? expf(fminf(logitScales[head], LARGEST_LOGIT_SCALE)) : 1.0f;
      const float norm = sqrtf(dot(x, x, width)), product = dot(x, dy, width);
      factor = gain / fmaxf(norm, SMALLEST_NORM);
      if (norm >= SMALLEST_NORM) along = product / norm / norm;
      if (which == 0 && lane == 0) {
        dLogitScaleTerms[item] = logitScales[head] <= LARGEST_LOGIT_SCALE ? factor * product : 0.0f;
      }
    }
    for (int c = lane; c < width; c += 32) dQKV[first + which * part + c] = factor * (dy[c] - x[c] * along);
  }
  for (int c = lane; c < width; c += 32) dQKV[first + 2 * part + c] = dValues[start + c];
}
