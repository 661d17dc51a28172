// Cross-entropy per row, and the sums that reduce many values to one: of values, squares, squared and absolute
// differences.

#include "reductions.cuh"

/// loss = (1 − ls)·(ℓ − x[t]) + ls·(ℓ − mean(x)),  ℓ = ln Σ exp x
///
/// - losses, logSumExps (ℓ) [rows]
/// - logits [rows, width]
/// - targets [rows] int, each below width
/// - grid: rows; block 256: one block per row
KERNEL(crossEntropy, float *losses, float *logSumExps, const float *logits, const int *targets, float labelSmoothing,
       int width) {
  const float *x = logits + static_cast<long long>(blockIdx.x) * width;
  float largest = -INFINITE;
  for (int v = threadIdx.x; v < width; v += BLOCK) largest = fmaxf(largest, x[v]);
  largest = reduceBlock<Maximum>(largest);
  float total = 0, sum = 0;
  for (int v = threadIdx.x; v < width; v += BLOCK) {
    total += expf(x[v] - largest);
    // Relative to the largest, so that the sum of many logits does not lose digits.
    sum += x[v] - largest;
  }
  total = reduceBlock<Sum>(total);
  sum = reduceBlock<Sum>(sum);
  if (threadIdx.x == 0) {
    const float logTotal = logf(total);
    const float target = logTotal + (largest - x[targets[blockIdx.x]]);
    float loss = (1.0f - labelSmoothing) * target;
    if (labelSmoothing > 0) loss += labelSmoothing * (logTotal - sum / width);
    losses[blockIdx.x] = loss;
    logSumExps[blockIdx.x] = largest + logTotal;
  }
}

/// dx[v] = dLoss·(exp(x[v] − ℓ) − (1 − ls)·[v = t] − ls/V)
///
/// - dLogits, logits [rows, width]; dLogits may be logits
/// - dLosses, logSumExps [rows]
/// - targets [rows] int
/// - grid: rows; block 256: one block per row
KERNEL(dCrossEntropy, float *dLogits, const float *dLosses, const float *logits, const int *targets,
       const float *logSumExps, float labelSmoothing, int width) {
  const long long start = static_cast<long long>(blockIdx.x) * width;
  const float dLoss = dLosses[blockIdx.x], logSumExp = logSumExps[blockIdx.x];
  const int target = targets[blockIdx.x];
  for (int v = threadIdx.x; v < width; v += BLOCK) {
    const float truth = v == target ? 1.0f - labelSmoothing : 0.0f;
    dLogits[start + v] = dLoss * (expf(logits[start + v] - logSumExp) - truth - labelSmoothing / width);
  }
}

/// The terms that are summed.
struct Value {
  static __device__ __forceinline__ double of(float x, float) { return x; }
};
struct Square {
  static __device__ __forceinline__ double of(float x, float) { return static_cast<double>(x) * x; }
};
struct SquaredDifference {
  static __device__ __forceinline__ double of(float x, float y) {
    const double difference = x - y;
    return difference * difference;
  }
};
struct AbsoluteDifference {
  static __device__ __forceinline__ double of(float x, float y) { return fabsf(x - y); }
};

/// partials[block] = Σ Term(x[i], y[i]) over the elements of a block, in double precision.
template <class Term>
static __device__ __forceinline__ void sumTerms(double *partials, const float *x, const float *y, long long count) {
  double sum = 0;
  for (long long i = GRID_FIRST; i < count; i += GRID_STEP) sum += Term::of(x[i], y ? y[i] : 0.0f);
  sum = reduceBlock<Sum>(sum);
  if (threadIdx.x == 0) partials[blockIdx.x] = sum;
}

/// sum: Σ x, in parts that `finishSum` adds. The same grid gives the same bits.
///
/// - partials [blocks] double
/// - x [count]
/// - grid: `blocks`, at most ⌈count/256⌉; block 256
KERNEL(sum, double *partials, const float *x, long long count) {
  sumTerms<Value>(partials, x, nullptr, count);
}

/// sumOfSquares: Σ x², in parts as in `sum`.
KERNEL(sumOfSquares, double *partials, const float *x, long long count) {
  sumTerms<Square>(partials, x, nullptr, count);
}

/// meanSquaredError: Σ (x − y)², in parts as in `sum`; the factor of `finishSum` is 1/count.
///
/// - x, y [count]
KERNEL(meanSquaredError, double *partials, const float *x, const float *y, long long count) {
  sumTerms<SquaredDifference>(partials, x, y, count);
}

/// meanAbsoluteError: Σ |x − y|, in parts as in `sum`; the factor of `finishSum` is 1/count.
///
/// - x, y [count]
KERNEL(meanAbsoluteError, double *partials, const float *x, const float *y, long long count) {
  sumTerms<AbsoluteDifference>(partials, x, y, count);
}

/// result[0] = factor·Σ partials, and precise[0] the same in double precision
///
/// - result [1], or null
/// - precise [1] double, or null
/// - partials [blocks] double
/// - grid 1; block 256
KERNEL(finishSum, float *result, double *precise, const double *partials, double factor, int blocks) {
  double sum = 0;
  for (int i = threadIdx.x; i < blocks; i += BLOCK) sum += partials[i];
  sum = factor * reduceBlock<Sum>(sum);
  if (threadIdx.x == 0) {
    if (result) result[0] = static_cast<float>(sum);
    if (precise) precise[0] = sum;
  }
}

/// dx[i] = dOutput·2(x[i] − y[i])/count
///
/// - dx, x, y [count]
/// - dOutput [1]
/// - grid ⌈count/256⌉ or fewer; block 256
KERNEL(dMeanSquaredError, float *dx, const float *dOutput, const float *x, const float *y, long long count) {
  const float factor = dOutput[0] * 2.0f / static_cast<float>(count);
  for (long long i = GRID_FIRST; i < count; i += GRID_STEP) dx[i] = factor * (x[i] - y[i]);
}

/// dx[i] = dOutput·sign(x[i] − y[i])/count, with sign(0) = 0
///
/// - dx, x, y [count]
/// - dOutput [1]
/// - grid ⌈count/256⌉ or fewer; block 256
KERNEL(dMeanAbsoluteError, float *dx, const float *dOutput, const float *x, const float *y, long long count) {
  const float factor = dOutput[0] / static_cast<float>(count);
  for (long long i = GRID_FIRST; i < count; i += GRID_STEP) {
    const float difference = x[i] - y[i];
    dx[i] = difference > 0 ? factor : difference < 0 ? -factor : 0.0f;
  }
}
