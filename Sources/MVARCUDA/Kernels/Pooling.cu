// Rectification and pooling of maps, for the network that metrics look at images with. There are no gradients.
//
// A thread computes one element of the result; grid ⌈count/256⌉ or fewer, block 256. Maps are [planes, height, width]
// with planes = batch·channels.

#include "portable.cuh"

/// y = max(x, 0); NaN stays NaN
///
/// - y, x [count]; they may be the same memory
KERNEL(relu, float *y, const float *x, long long count) {
  for (long long n = GRID_FIRST; n < count; n += GRID_STEP) {
    const float value = x[n];
    y[n] = value < 0 ? 0 : value;
  }
}

/// The places first …< end of an axis that a window covers.
struct WindowRange {
  int first, end;

  __device__ __forceinline__ WindowRange(int index, int size, int side, int stride, int padding)
      : first(max(index * stride - padding, 0)), end(min(index * stride - padding + side, size)) {}
};

/// y[i, j] = the largest input of the window; NaN if one of them is
///
/// - y [planes, newHeight, newWidth]
/// - x [planes, height, width]
/// - count: planes·newHeight·newWidth
KERNEL(maxPool, float *y, const float *x, int height, int width, int newHeight, int newWidth, int side, int stride,
       int padding, long long count) {
  for (long long n = GRID_FIRST; n < count; n += GRID_STEP) {
    const int j = static_cast<int>(n % newWidth), i = static_cast<int>(n / newWidth % newHeight);
    const float *plane = x + n / newWidth / newHeight * height * width;
    const WindowRange rows(i, height, side, stride, padding), columns(j, width, side, stride, padding);
    float largest = plane[rows.first * width + columns.first];
    for (int row = rows.first; row < rows.end; ++row) {
      for (int column = columns.first; column < columns.end; ++column) {
        const float value = plane[row * width + column];
        if (value > largest || value != value) largest = value;
      }
    }
    y[n] = largest;
  }
}

/// y[i, j] = the mean of the inputs of the window that lie on the map
///
/// - y [planes, newHeight, newWidth]
/// - x [planes, height, width]
/// - count: planes·newHeight·newWidth
KERNEL(averagePool, float *y, const float *x, int height, int width, int newHeight, int newWidth, int side, int stride,
       int padding, long long count) {
  for (long long n = GRID_FIRST; n < count; n += GRID_STEP) {
    const int j = static_cast<int>(n % newWidth), i = static_cast<int>(n / newWidth % newHeight);
    const float *plane = x + n / newWidth / newHeight * height * width;
    const WindowRange rows(i, height, side, stride, padding), columns(j, width, side, stride, padding);
    float sum = 0;
    for (int row = rows.first; row < rows.end; ++row) {
      for (int column = columns.first; column < columns.end; ++column) sum += plane[row * width + column];
    }
    y[n] = sum / static_cast<float>((rows.end - rows.first) * (columns.end - columns.first));
  }
}
