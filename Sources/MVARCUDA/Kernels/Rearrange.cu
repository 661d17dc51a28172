// Rearranging elements without changing them: swapping two axes, and slices of an axis.
//
// An axis is treated as `outer` blocks of `length` entries of `inner` contiguous elements, so a slice of it is `outer`
// runs of memory at equal distances. The operators differ only in the side on which the runs are strided.

#include "portable.cuh"

/// y[m, s, r] = x[m, r, s]
///
/// A block moves 32 × 32 elements through shared memory, so that both its reads and its writes are whole rows. The
/// unused 33rd column of the tile spreads each column over all banks.
///
/// - y [matrices, columns, rows]
/// - x [matrices, rows, columns]
/// - grid (⌈columns/32⌉, ⌈rows/32⌉, matrices), the last two up to 65535 (blocks stride over the rest); block 256
KERNEL(transpose, float *y, const float *x, long long matrices, int rows, int columns) {
  SHARED_ARRAY(float, tile, [32][33]);
  const int lane = threadIdx.x % 32, line = threadIdx.x / 32;
  const int firstColumn = blockIdx.x * 32;
  for (long long matrix = blockIdx.z; matrix < matrices; matrix += gridDim.z) {
    const long long start = matrix * rows * columns;
    for (int firstRow = blockIdx.y * 32; firstRow < rows; firstRow += gridDim.y * 32) {
      for (int i = line; i < 32; i += 8) {
        if (firstRow + i < rows && firstColumn + lane < columns) {
          tile[i][lane] = x[start + static_cast<long long>(firstRow + i) * columns + firstColumn + lane];
        }
      }
      __syncthreads();
      for (int i = line; i < 32; i += 8) {
        if (firstColumn + i < columns && firstRow + lane < rows) {
          y[start + static_cast<long long>(firstColumn + i) * rows + firstRow + lane] = tile[lane][i];
        }
      }
      __syncthreads();
    }
  }
}

/// y[o, i] = x[o·stride + start + i]: the entries of an axis in `range`.
///
/// - y [outer, block], block = range.count·inner
/// - x: `outer` blocks of `stride` = length·inner elements; `start` = range.lowerBound·inner
/// - count: outer·block
/// - grid ⌈count/256⌉ or fewer; block 256
KERNEL(slice, float *y, const float *x, long long block, long long stride, long long start, long long count) {
  for (long long i = GRID_FIRST; i < count; i += GRID_STEP) {
    const long long outer = i / block;
    y[i] = x[outer * stride + start + (i - outer * block)];
  }
}

/// y[o·stride + start + i] = x[o, i]: one part of a concatenation along an axis; the rest of y is unchanged.
///
/// - y: `outer` blocks of `stride` elements
/// - x [outer, block]
/// - count: outer·block
/// - grid ⌈count/256⌉ or fewer; block 256
KERNEL(concatenate, float *y, const float *x, long long block, long long stride, long long start, long long count) {
  for (long long i = GRID_FIRST; i < count; i += GRID_STEP) {
    const long long outer = i / block;
    y[outer * stride + start + (i - outer * block)] = x[i];
  }
}

/// dx[o, j] = dy[o, j − start] for start ≤ j < start + block, 0 elsewhere
///
/// - dx [outer, stride]
/// - dy [outer, block]
/// - count: outer·stride
/// - grid ⌈count/256⌉ or fewer; block 256
KERNEL(dSlice, float *dx, const float *dy, long long block, long long stride, long long start, long long count) {
  for (long long i = GRID_FIRST; i < count; i += GRID_STEP) {
    const long long outer = i / stride;
    const long long j = i - outer * stride - start;
    dx[i] = j >= 0 && j < block ? dy[outer * block + j] : 0.0f;
  }
}
