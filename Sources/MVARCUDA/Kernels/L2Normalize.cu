// Rows divided by their length. If the length is clamped, it is a constant, and the gradient is divided by it as well.
//
// One warp per row, as in LayerNorm.cu: grid ⌈rows/8⌉, block 256 (8 rows).

#include "reductions.cuh"

/// The smallest divisor.
#define SMALLEST_NORM 1e-12f

/// y[r] = x[r]/max(‖x[r]‖, 10⁻¹²)
///
/// - y, x [rows, channels]; y may be x
KERNEL(l2Normalize, float *y, const float *x, long long rows, int channels) {
  const long long row = WARP_ROW;
  if (row >= rows) return;
  const int lane = threadIdx.x % 32;
  x += row * channels;
  y += row * channels;
  float squares = 0;
  for (int c = lane; c < channels; c += 32) squares += x[c] * x[c];
  const float norm = fmaxf(sqrtf(reduceWarp<Sum>(squares)), SMALLEST_NORM);
  for (int c = lane; c < channels; c += 32) y[c] = x[c] / norm;
}

/// dx = (dy − y·(y·dy))/‖x‖; where the norm is clamped it is a constant, and dx = dy/10⁻¹²
///
/// - dx, dy, x [rows, channels]; dx may be dy
KERNEL(dL2Normalize, float *dx, const float *dy, const float *x, long long rows, int channels) {
  const long long row = WARP_ROW;
  if (row >= rows) return;
  const int lane = threadIdx.x % 32;
  const long long start = row * channels;
  float squares = 0, product = 0;
  for (int c = lane; c < channels; c += 32) {
    squares += x[start + c] * x[start + c];
    product += x[start + c] * dy[start + c];
  }
  const float norm = sqrtf(reduceWarp<Sum>(squares));
  product = reduceWarp<Sum>(product);
  const float divisor = fmaxf(norm, SMALLEST_NORM);
  const float projection = norm >= SMALLEST_NORM ? product / norm : 0.0f;
  for (int c = lane; c < channels; c += 32) {
    dx[start + c] = (dy[start + c] - x[start + c] / divisor * projection) / divisor;
  }
}
