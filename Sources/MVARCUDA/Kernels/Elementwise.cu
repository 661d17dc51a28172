// Element-wise operators: sums, gated residuals, activations, softmax; and sums over rows.
//
// Unless a kernel says otherwise, the grid is one-dimensional with 256 threads per block, and any number of blocks
// gives the same result: the threads divide the elements in grid-sized strides. Use ⌈count/256⌉ blocks, up to a few per
// multiprocessor.

#include "reductions.cuh"

/// y[i] = value
///
/// - y [count]
KERNEL(fill, float *y, float value, long long count) {
  for (long long i = GRID_FIRST; i < count; i += GRID_STEP) y[i] = value;
}

/// z[i] = α·x[i] + β·y[i]
///
/// - z, x, y [count]; z may be x or y
KERNEL(combine, float *z, const float *x, const float *y, float alpha, float beta, long long count) {
  for (long long i = GRID_FIRST; i < count; i += GRID_STEP) z[i] = alpha * x[i] + beta * y[i];
}

/// y[i] = α·x[i]
///
/// - y, x [count]; y may be x
KERNEL(scale, float *y, const float *x, float alpha, long long count) {
  for (long long i = GRID_FIRST; i < count; i += GRID_STEP) y[i] = alpha * x[i];
}

/// y[i] = α·x[0]: one value from device memory, broadcast; the gradient of a sum.
///
/// - y [count]
/// - x [1]
KERNEL(dSum, float *y, const float *x, float alpha, long long count) {
  const float value = alpha * x[0];
  for (long long i = GRID_FIRST; i < count; i += GRID_STEP) y[i] = value;
}

/// y[b, i] = x[b, i] + rows[i]
///
/// - y, x [batch, inner]; y may be x
/// - rows [inner]
/// - count: batch·inner
KERNEL(addRows, float *y, const float *x, const float *rows, long long inner, long long count) {
  for (long long i = GRID_FIRST; i < count; i += GRID_STEP) y[i] = x[i] + rows[i % inner];
}

/// Sums of columns, in parts: sums[part, c] = Σ x[r, c] over rows part·rowsPerPart ≤ r < (part + 1)·rowsPerPart.
///
/// This is the gradient of everything that is added to every row. One launch with a single part uses only a few threads
/// per column; for many rows and few columns, launch it for parts of a few hundred rows, then again for the partial
/// sums.
///
/// - sums [parts, columns]
/// - x [rows, columns]
/// - grid (⌈columns/32⌉, parts), parts = ⌈rows/rowsPerPart⌉ ≤ 65535; block 256: 8 rows of 32 columns
KERNEL(columnSums, float *sums, const float *x, long long rows, long long columns, long long rowsPerPart) {
  SHARED_ARRAY(float, partial, [8][33]);
  const int lane = threadIdx.x % 32, line = threadIdx.x / 32;
  const long long column = static_cast<long long>(blockIdx.x) * 32 + lane;
  const long long first = blockIdx.y * rowsPerPart;
  const long long end = min(first + rowsPerPart, rows);
  float sum = 0;
  if (column < columns) {
    for (long long row = first + line; row < end; row += 8) sum += x[row * columns + column];
  }
  partial[line][lane] = sum;
  __syncthreads();
  if (line == 0 && column < columns) {
    for (int other = 1; other < 8; ++other) sum += partial[other][lane];
    sums[blockIdx.y * columns + column] = sum;
  }
}

/// y[b, n, c] = x[b, n, c] + gain[b, c]·keep[b]·branch[b, n, c]
///
/// - y, x, branch [batch, tokens, channels]; y may be x
/// - gain [batch, channels]
/// - keep [batch], or null for 1
/// - count: batch·tokens·channels
KERNEL(gatedResidual, float *y, const float *x, const float *branch, const float *gain, const float *keep, int tokens,
       int channels, long long count) {
  for (long long i = GRID_FIRST; i < count; i += GRID_STEP) {
    const long long row = i / channels;
    const int channel = static_cast<int>(i - row * channels);
    const long long sample = row / tokens;
    const float kept = keep ? keep[sample] : 1.0f;
    y[i] = x[i] + gain[sample * channels + channel] * kept * branch[i];
  }
}

/// dBranch[b, n, c] = gain[b, c]·keep[b]·dy[b, n, c],  dGain[b, c] = keep[b]·Σₙ branch[b, n, c]·dy[b, n, c]
///
/// - dBranch, dy, branch [batch, tokens, channels]; dBranch may be dy or branch
/// - dGain, gain [batch, channels]
/// - keep [batch], or null for 1
/// - grid (⌈channels/32⌉, batch); block 256: 8 tokens of 32 channels
KERNEL(dGatedResidual, float *dBranch, float *dGain, const float *dy, const float *branch, const float *gain,
       const float *keep, int tokens, int channels) {
  SHARED_ARRAY(float, partial, [8][33]);
  const int lane = threadIdx.x % 32, line = threadIdx.x / 32;
  const int channel = blockIdx.x * 32 + lane;
  const long long sample = blockIdx.y;
  const float kept = keep ? keep[sample] : 1.0f;
  float sum = 0;
  if (channel < channels) {
    const float factor = gain[sample * channels + channel] * kept;
    for (int n = line; n < tokens; n += 8) {
      const long long i = (sample * tokens + n) * channels + channel;
      const float gradient = dy[i];
      sum += branch[i] * gradient;
      dBranch[i] = factor * gradient;
    }
  }
  partial[line][lane] = sum;
  __syncthreads();
  if (line == 0 && channel < channels) {
    for (int other = 1; other < 8; ++other) sum += partial[other][lane];
    dGain[sample * channels + channel] = kept * sum;
  }
}

/// y[i] = x[i]·σ(x[i])
///
/// - y, x [count]; y may be x
KERNEL(silu, float *y, const float *x, long long count) {
  for (long long i = GRID_FIRST; i < count; i += GRID_STEP) y[i] = siluValue(x[i]);
}

/// dx[i] = dy[i]·σ(x)·(1 + x·(1 − σ(x)))
///
/// - dx, dy, x [count]; dx may be dy or x
KERNEL(dSilu, float *dx, const float *dy, const float *x, long long count) {
  for (long long i = GRID_FIRST; i < count; i += GRID_STEP) dx[i] = dy[i] * siluSlope(x[i]);
}

/// √(2/π), the factor inside the tanh of GELU, and the cubic coefficient of that approximation.
#define GELU_FACTOR 0.7978845608028654f
#define GELU_CUBIC 0.044715f

/// y = ½x(1 + tanh u),  u = √(2/π)(x + 0.044715x³)
///
/// - y, x [count]; y may be x
KERNEL(geluTanh, float *y, const float *x, long long count) {
  for (long long i = GRID_FIRST; i < count; i += GRID_STEP) {
    const float value = x[i];
    const float u = GELU_FACTOR * (value + GELU_CUBIC * value * value * value);
    y[i] = 0.5f * value * (1.0f + tanhf(u));
  }
}

/// dx = dy·(½(1 + t) + ½x(1 − t²)·du/dx),  t = tanh u,  du/dx = √(2/π)(1 + 3·0.044715x²)
///
/// - dx, dy, x [count]; dx may be dy or x
KERNEL(dGeluTanh, float *dx, const float *dy, const float *x, long long count) {
  for (long long i = GRID_FIRST; i < count; i += GRID_STEP) {
    const float value = x[i];
    const float t = tanhf(GELU_FACTOR * (value + GELU_CUBIC * value * value * value));
    const float slope = GELU_FACTOR * (1.0f + 3.0f * GELU_CUBIC * value * value);
    dx[i] = dy[i] * (0.5f * (1.0f + t) + 0.5f * value * (1.0f - t * t) * slope);
  }
}

/// y[r, v] = exp(x[r, v] − max)/Σ exp(x[r, w] − max)
///
/// - y, x [rows, width]; y may be x
/// - grid: rows; block 256: one block per row
KERNEL(softmax, float *y, const float *x, int width) {
  x += static_cast<long long>(blockIdx.x) * width;
  y += static_cast<long long>(blockIdx.x) * width;
  float largest = -INFINITE;
  for (int v = threadIdx.x; v < width; v += BLOCK) largest = fmaxf(largest, x[v]);
  largest = reduceBlock<Maximum>(largest);
  float total = 0;
  for (int v = threadIdx.x; v < width; v += BLOCK) total += expf(x[v] - largest);
  total = reduceBlock<Sum>(total);
  for (int v = threadIdx.x; v < width; v += BLOCK) y[v] = expf(x[v] - largest) / total;
}

/// dx[r, v] = y[r, v]·(dy[r, v] − Σ y[r, w]·dy[r, w])
///
/// - dx, dy, y [rows, width]; dx may be dy
/// - grid: rows; block 256: one block per row
KERNEL(dSoftmax, float *dx, const float *dy, const float *y, int width) {
  const long long start = static_cast<long long>(blockIdx.x) * width;
  float projection = 0;
  for (int v = threadIdx.x; v < width; v += BLOCK) projection += y[start + v] * dy[start + v];
  projection = reduceBlock<Sum>(projection);
  for (int v = threadIdx.x; v < width; v += BLOCK) dx[start + v] = y[start + v] * (dy[start + v] - projection);
}
