// Resizing maps. Area and bicubic resizing are linear: output (i, j) is a weighted sum over a few rows and columns of
// the input, and the backward distributes each gradient with the same weights. Here the backward gathers: each input
// finds the outputs that read it, so every element is written by one thread and the order of summation is fixed.
//
// A thread computes one element of the result; grid ⌈count/256⌉ or fewer, block 256. Maps are [planes, height, width]
// with planes = batch·channels.

#include "portable.cuh"

/// Inputs first …< end of an axis that output i of adaptive average pooling from `size` to `newSize` averages:
/// ⌊i·size/newSize⌋ … ⌈(i + 1)·size/newSize⌉ − 1. (Sides are below 2¹⁵, so products fit in 32 bits.)
struct AreaRange {
  int first, end;

  __device__ __forceinline__ AreaRange(int i, int size, int newSize)
      : first(i * size / newSize), end(((i + 1) * size + newSize - 1) / newSize) {}
  /// The weight of each.
  __device__ __forceinline__ double weight() const { return 1.0 / (end - first); }
};

/// y[i, j] = the mean of the inputs in the ranges of row i and column j
///
/// - y [planes, newHeight, newWidth]
/// - x [planes, height, width]
/// - count: planes·newHeight·newWidth
KERNEL(areaResize, float *y, const float *x, int height, int width, int newHeight, int newWidth, long long count) {
  for (long long n = GRID_FIRST; n < count; n += GRID_STEP) {
    const int j = static_cast<int>(n % newWidth), i = static_cast<int>(n / newWidth % newHeight);
    const float *plane = x + n / newWidth / newHeight * height * width;
    const AreaRange rows(i, height, newHeight), columns(j, width, newWidth);
    const float weight = static_cast<float>(rows.weight() * columns.weight());
    float sum = 0;
    for (int row = rows.first; row < rows.end; ++row) {
      for (int column = columns.first; column < columns.end; ++column) sum += weight * plane[row * width + column];
    }
    y[n] = sum;
  }
}

/// The outputs whose range may contain an input; the range may include a few too many, so the caller checks.
static __device__ __forceinline__ AreaRange outputsNear(int place, int size, int newSize) {
  AreaRange outputs(place, newSize, size);
  outputs.first = max(outputs.first - 1, 0);
  outputs.end = min(outputs.end + 1, newSize);
  return outputs;
}

/// dx[r, s] = Σ dy[i, j]·weight over the outputs (i, j) that averaged input (r, s)
///
/// - dx [planes, height, width]
/// - dy [planes, newHeight, newWidth]
/// - count: planes·height·width
KERNEL(dAreaResize, float *dx, const float *dy, int height, int width, int newHeight, int newWidth, long long count) {
  for (long long n = GRID_FIRST; n < count; n += GRID_STEP) {
    const int column = static_cast<int>(n % width), row = static_cast<int>(n / width % height);
    const float *plane = dy + n / width / height * newHeight * newWidth;
    const AreaRange nearRows = outputsNear(row, height, newHeight), nearColumns = outputsNear(column, width, newWidth);
    float sum = 0;
    for (int i = nearRows.first; i < nearRows.end; ++i) {
      const AreaRange rows(i, height, newHeight);
      if (row < rows.first || row >= rows.end) continue;
      for (int j = nearColumns.first; j < nearColumns.end; ++j) {
        const AreaRange columns(j, width, newWidth);
        if (column < columns.first || column >= columns.end) continue;
        sum += static_cast<float>(rows.weight() * columns.weight()) * plane[i * newWidth + j];
      }
    }
    dx[n] = sum;
  }
}

/// The four inputs of an axis that output i of bicubic interpolation reads, and their weights: a = −0.75, half-pixel
/// centers, positions beyond the border clamped to it.
struct CubicTaps {
  double weights[4];
  int first, last;

  __device__ __forceinline__ CubicTaps(int i, int size, int newSize) : last(size - 1) {
    const double a = -0.75;
    const double source = (i + 0.5) * size / newSize - 0.5;
    const double below = floor(source), t = source - below;
    const auto near = [a](double d) { return ((a + 2) * d - (a + 3)) * d * d + 1; };
    const auto far = [a](double d) { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a; };
    weights[0] = far(t + 1), weights[1] = near(t), weights[2] = near(1 - t), weights[3] = far(2 - t);
    first = static_cast<int>(below) - 1;
  }
  /// Input u of the four. (Computed when needed: an array of positions beside the weights would cost registers.)
  __device__ __forceinline__ int place(int u) const { return min(max(first + u, 0), last); }
};

/// y[i, j] = Σ of 4 × 4 inputs around ((i + ½)·H/h − ½, (j + ½)·W/w − ½) with cubic weights
///
/// - y [planes, newHeight, newWidth]
/// - x [planes, height, width]
/// - count: planes·newHeight·newWidth
KERNEL(bicubicResize, float *y, const float *x, int height, int width, int newHeight, int newWidth, long long count) {
  for (long long n = GRID_FIRST; n < count; n += GRID_STEP) {
    const int j = static_cast<int>(n % newWidth), i = static_cast<int>(n / newWidth % newHeight);
    const float *plane = x + n / newWidth / newHeight * height * width;
    const CubicTaps rows(i, height, newHeight), columns(j, width, newWidth);
    float sum = 0;
    for (int u = 0; u < 4; ++u) {
      for (int v = 0; v < 4; ++v) {
        const float weight = static_cast<float>(rows.weights[u] * columns.weights[v]);
        sum += weight * plane[rows.place(u) * width + columns.place(v)];
      }
    }
    y[n] = sum;
  }
}

/// The outputs that may read an input: those whose source lies within two inputs of it, and at a border all those
/// beyond it.
struct CubicReach {
  int first, end;

  __device__ __forceinline__ CubicReach(int place, int size, int newSize) {
    const double scale = static_cast<double>(newSize) / size;
    first = place == 0 ? 0 : max(static_cast<int>((place - 2) * scale) - 2, 0);
    end = place == size - 1 ? newSize : min(static_cast<int>((place + 3) * scale) + 2, newSize);
  }
};

/// dx[r, s] = Σ dy[i, j]·weight over the outputs (i, j) that read input (r, s), as often as they read it
///
/// - dx [planes, height, width]
/// - dy [planes, newHeight, newWidth]
/// - count: planes·height·width
KERNEL(dBicubicResize, float *dx, const float *dy, int height, int width, int newHeight, int newWidth,
       long long count) {
  for (long long n = GRID_FIRST; n < count; n += GRID_STEP) {
    const int column = static_cast<int>(n % width), row = static_cast<int>(n / width % height);
    const float *plane = dy + n / width / height * newHeight * newWidth;
    const CubicReach reachedRows(row, height, newHeight), reachedColumns(column, width, newWidth);
    float sum = 0;
    for (int i = reachedRows.first; i < reachedRows.end; ++i) {
      const CubicTaps rows(i, height, newHeight);
      double rowWeight = 0;
      for (int u = 0; u < 4; ++u) {
        if (rows.place(u) == row) rowWeight += rows.weights[u];
      }
      if (rowWeight == 0) continue;
      for (int j = reachedColumns.first; j < reachedColumns.end; ++j) {
        const CubicTaps columns(j, width, newWidth);
        double columnWeight = 0;
        for (int v = 0; v < 4; ++v) {
          if (columns.place(v) == column) columnWeight += columns.weights[v];
        }
        sum += static_cast<float>(rowWeight * columnWeight) * plane[i * newWidth + j];
      }
    }
    dx[n] = sum;
  }
}

/// y[i, j] = x[⌊i/2⌋, ⌊j/2⌋]
///
/// - y [planes, 2·height, 2·width]
/// - x [planes, height, width]
/// - count: planes·2·height·2·width
KERNEL(upsampleNearest, float *y, const float *x, int width, long long count) {
  for (long long n = GRID_FIRST; n < count; n += GRID_STEP) {
    const int newWidth = 2 * width;
    const long long line = n / newWidth;  // of all planes: their heights are even, so halving stays within one
    const int j = static_cast<int>(n - line * newWidth);
    y[n] = x[line / 2 * width + j / 2];
  }
}

/// dx[i, j] = dy[2i, 2j] + dy[2i, 2j + 1] + dy[2i + 1, 2j] + dy[2i + 1, 2j + 1]
///
/// - dx [planes, height, width]
/// - dy [planes, 2·height, 2·width]
/// - count: planes·height·width
KERNEL(dUpsampleNearest, float *dx, const float *dy, int width, long long count) {
  for (long long n = GRID_FIRST; n < count; n += GRID_STEP) {
    const long long line = n / width;
    const float *upper = dy + 2 * line * (2 * width) + 2 * (n - line * width), *lower = upper + 2 * width;
    dx[n] = upper[0] + upper[1] + lower[0] + lower[1];
  }
}
