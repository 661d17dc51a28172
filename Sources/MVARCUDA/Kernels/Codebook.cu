// Rows of a table by index, the gradient of that, and the index of the row nearest to a vector.

#include "attention.cuh"
#include "reductions.cuh"

/// y[n] = table[indices[n]]
///
/// - y [count, channels]
/// - table [rows, channels]
/// - indices [count] int, each below rows
/// - total: count·channels
/// - grid ⌈total/256⌉ or fewer; block 256
KERNEL(embedding, float *y, const float *table, const int *indices, int channels, long long total) {
  for (long long i = GRID_FIRST; i < total; i += GRID_STEP) {
    const long long n = i / channels;
    y[i] = table[static_cast<long long>(indices[n]) * channels + (i - n * channels)];
  }
}

/// dTable[v] = Σ dy[n] over the n with indices[n] = v, in the order of n
///
/// A block handles one row of the table and searches all indices, 256 at a time; a warp's matches are the bits of a
/// ballot. This reads every index once per row, but needs no atomics, and the order of the additions is fixed.
///
/// - dTable [rows, channels]
/// - dy [count, channels]
/// - indices [count] int
/// - grid (rows, ⌈channels/256⌉); block 256: one channel per thread
KERNEL(dEmbedding, float *dTable, const float *dy, const int *indices, int channels, int count) {
  SHARED_ARRAY(unsigned, matches, [BLOCK / 32]);
  const int row = blockIdx.x, channel = blockIdx.y * BLOCK + threadIdx.x;
  float sum = 0;
  for (int first = 0; first < count; first += BLOCK) {
    const int n = first + static_cast<int>(threadIdx.x);
    const unsigned ballot = __ballot_sync(ALL_LANES, n < count && indices[n] == row);
    __syncthreads();  // The previous ballots have been read.
    if (threadIdx.x % 32 == 0) matches[threadIdx.x / 32] = ballot;
    __syncthreads();
    for (int warp = 0; warp < BLOCK / 32; ++warp) {
      for (unsigned bits = matches[warp]; bits != 0; bits &= bits - 1) {
        const long long match = first + 32 * warp + __ffs(bits) - 1;
        if (channel < channels) sum += dy[match * channels + channel];
      }
    }
  }
  if (channel < channels) dTable[static_cast<long long>(row) * channels + channel] = sum;
}

/// squares[r] = Σ x[r, c]²
///
/// - squares [rows]
/// - x [rows, channels]
/// - grid ⌈rows/8⌉; block 256: one warp per row
KERNEL(squaredNorms, float *squares, const float *x, long long rows, int channels) {
  const long long row = static_cast<long long>(blockIdx.x) * (BLOCK / 32) + threadIdx.x / 32;
  if (row >= rows) return;
  float sum = 0;
  for (int c = threadIdx.x % 32; c < channels; c += 32) sum += x[row * channels + c] * x[row * channels + c];
  sum = reduceWarp<Sum>(sum);
  if (threadIdx.x % 32 == 0) squares[row] = sum;
}

/// The smallest distance so far, and the first code that has it.
struct Nearest {
  float distance;
  int code;

  __device__ __forceinline__ void consider(float otherDistance, int otherCode) {
    if (otherDistance < distance || (otherDistance == distance && otherCode < code)) {
      distance = otherDistance;
      code = otherCode;
    }
  }
};

/// argmin ‖z‖² + ‖e‖² − 2 z·e over the rows e of the codebook, the first one in case of a tie; without norms argmax
/// z·e, which is the largest cosine if both sides are normalized (`l2Normalize`).
///
/// A block processes 64 vectors and iterates over the codes in tiles of 64.
///
/// - nearest [count] int
/// - vectors [count, channels]
/// - codebook [codes, channels]
/// - vectorNorms [count], codeNorms [codes]: squares of norms (`squaredNorms`), or both null
/// - grid ⌈count/64⌉; block 256
KERNEL(nearestCode, int *nearest, const float *vectors, const float *codebook, const float *vectorNorms,
       const float *codeNorms, int count, int codes, int channels) {
  SHARED_ARRAY(int, vectorRows, [64]);
  SHARED_ARRAY(int, codeRows, [64]);
  const int threadRow = threadIdx.x / 16, threadColumn = threadIdx.x % 16;
  const int firstVector = blockIdx.x * 64;
  if (threadIdx.x < 64) {
    const int row = firstVector + static_cast<int>(threadIdx.x);
    vectorRows[threadIdx.x] = row < count ? row : NO_ROW;
  }
  // A vector of NaNs is nearest to code 0: every comparison with its distances is false.
  Nearest found[4];
  float norms[4];
  for (int i = 0; i < 4; ++i) {
    found[i] = {INFINITE, codes};
    const int row = firstVector + threadRow + 16 * i;
    norms[i] = vectorNorms && row < count ? vectorNorms[row] : 0.0f;
  }
  for (int first = 0; first < codes; first += 64) {
    __syncthreads();
    if (threadIdx.x < 64) {
      const int row = first + static_cast<int>(threadIdx.x);
      codeRows[threadIdx.x] = row < codes ? row : NO_ROW;
    }
    __syncthreads();
    float products[4][4];
    rowProducts(products, HeadRows{vectors, channels}, vectorRows, HeadRows{codebook, channels}, codeRows, channels);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int code = codeRows[threadColumn + 16 * j];
      if (code == NO_ROW) continue;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        found[i].consider(codeNorms ? norms[i] + codeNorms[code] - 2.0f * products[i][j] : -products[i][j], code);
      }
    }
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) {
#pragma unroll
    for (int distance = 8; distance > 0; distance /= 2) {
      const float otherDistance = __shfl_xor_sync(ALL_LANES, found[i].distance, distance);
      const int otherCode = __shfl_xor_sync(ALL_LANES, found[i].code, distance);
      found[i].consider(otherDistance, otherCode);
    }
    const int row = firstVector + threadRow + 16 * i;
    if (threadColumn == 0 && row < count) nearest[row] = found[i].code < codes ? found[i].code : 0;
  }
}
