// Attention in tiles, forward and backward, for any rule that determines which query sees which key.
//
// A block holds a tile of queries and iterates over the keys in tiles, keeping for every query only the largest logit
// so far, the sum of exponentials relative to it, and the weighted sum of values (Milakov and Gimelshein, arXiv
// 1805.02867; Dao et al., arXiv 2205.14135). The matrix of probabilities is never stored. The backward recomputes them
// from ln Σ exp.
//
// A geometry determines which keys a tile of queries needs, and which queries a tile of keys needs:
//
//     struct Geometry {
//       struct Query;  struct Key;        // what visibility depends on
//       int count;                        // how many rows of the other side to visit
//       int row(int index) const;         // the position of the index-th of them
//       Key key(int row) const;  Query query(int row) const;
//       static bool sees(const Query &, const Key &);
//     };
//
// The width of a head may be anything: products over it are taken 32 channels at a time, and a block writes 64 channels
// of the result (blockIdx.z selects them), so wider heads recompute their logits for every 64.
//
// All tiles have 16·side rows by 16·other columns for 256 threads: a thread has rows threadRow + 16i and columns
// threadColumn + 16j. The 16 threads that share rows are adjacent lanes of a warp.

#pragma once
#include "portable.cuh"

/// Channels of a result that a block writes, and channels of a product that are in shared memory at a time.
#define OUTPUT_CHANNELS 64
#define PRODUCT_CHANNELS 32

/// A row that does not exist.
#define NO_ROW (-1)

/// Where the rows of one head are: row r of this sample and head starts at start + r·stride.
struct HeadRows {
  const float *start;
  int stride;
};

/// Shared memory for the operands being multiplied: slabs of two tiles of rows, or 64 channels of one.
template <int side, int other> __device__ __forceinline__ float *productSlabs() {
  constexpr int forProducts = 16 * (side + other) * (PRODUCT_CHANNELS + 1);
  constexpr int forWeighted = 16 * other * (OUTPUT_CHANNELS + 1);
  constexpr int numbers = forProducts > forWeighted ? forProducts : forWeighted;
  SHARED_ARRAY(float, slabs, [numbers]);
  return slabs;
}

/// products[i][j] = Σ_c x[xRows[·]][c]·y[yRows[·]][c] for a tile of rows of x by a tile of rows of y; rows that do not
/// exist are zero. `xRows` and `yRows` are in shared memory; contains barriers.
template <int side, int other>
__device__ __forceinline__ void rowProducts(float (&products)[side][other], const HeadRows &x, const int *xRows,
                                            const HeadRows &y, const int *yRows, int width) {
  constexpr int pitch = PRODUCT_CHANNELS + 1;
  float *const slabX = productSlabs<side, other>(), *const slabY = slabX + 16 * side * pitch;
  const int threadRow = threadIdx.x / 16, threadColumn = threadIdx.x % 16;
  const int lane = threadIdx.x % PRODUCT_CHANNELS, line = threadIdx.x / PRODUCT_CHANNELS;
#pragma unroll
  for (int i = 0; i < side; ++i) {
#pragma unroll
    for (int j = 0; j < other; ++j) products[i][j] = 0;
  }
  for (int first = 0; first < width; first += PRODUCT_CHANNELS) {
    const int channel = first + lane;
    __syncthreads();  // The previous slabs have been read.
    for (int r = line; r < 16 * side; r += BLOCK / PRODUCT_CHANNELS) {
      slabX[r * pitch + lane] =
          xRows[r] != NO_ROW && channel < width ? x.start[static_cast<long long>(xRows[r]) * x.stride + channel] : 0.0f;
    }
    for (int r = line; r < 16 * other; r += BLOCK / PRODUCT_CHANNELS) {
      slabY[r * pitch + lane] =
          yRows[r] != NO_ROW && channel < width ? y.start[static_cast<long long>(yRows[r]) * y.stride + channel] : 0.0f;
    }
    __syncthreads();
#pragma unroll 8
    for (int c = 0; c < PRODUCT_CHANNELS; ++c) {
      float left[side], right[other];
#pragma unroll
      for (int i = 0; i < side; ++i) left[i] = slabX[(threadRow + 16 * i) * pitch + c];
#pragma unroll
      for (int j = 0; j < other; ++j) right[j] = slabY[(threadColumn + 16 * j) * pitch + c];
#pragma unroll
      for (int i = 0; i < side; ++i) {
#pragma unroll
        for (int j = 0; j < other; ++j) products[i][j] += left[i] * right[j];
      }
    }
  }
}

/// sums[i][j] += Σ_m weights[row][m]·x[xRows[m]][channel], for 64 channels from `firstChannel`. `weights` is a tile in
/// shared memory that the threads have just written; contains barriers.
template <int side, int other>
__device__ __forceinline__ void addWeightedRows(float (&sums)[side][OUTPUT_CHANNELS / 16],
                                                const float (*weights)[16 * other + 1], const HeadRows &x,
                                                const int *xRows, int firstChannel, int width) {
  constexpr int pitch = OUTPUT_CHANNELS + 1;
  float *const slab = productSlabs<side, other>();
  const int threadRow = threadIdx.x / 16, threadColumn = threadIdx.x % 16;
  const int lane = threadIdx.x % OUTPUT_CHANNELS, line = threadIdx.x / OUTPUT_CHANNELS;
  const int channel = firstChannel + lane;
  __syncthreads();  // The previous slab has been read, and the weights have been written.
  for (int m = line; m < 16 * other; m += BLOCK / OUTPUT_CHANNELS) {
    slab[m * pitch + lane] =
        xRows[m] != NO_ROW && channel < width ? x.start[static_cast<long long>(xRows[m]) * x.stride + channel] : 0.0f;
  }
  __syncthreads();
#pragma unroll 8
  for (int m = 0; m < 16 * other; ++m) {
    float left[side];
#pragma unroll
    for (int i = 0; i < side; ++i) left[i] = weights[threadRow + 16 * i][m];
#pragma unroll
    for (int j = 0; j < OUTPUT_CHANNELS / 16; ++j) {
      const float right = slab[m * pitch + threadColumn + 16 * j];
#pragma unroll
      for (int i = 0; i < side; ++i) sums[i][j] += left[i] * right;
    }
  }
}

/// Reductions over the 16 threads that share rows.
template <class Combine> __device__ __forceinline__ float reduceSixteen(float value, const Combine &combine) {
#pragma unroll
  for (int distance = 8; distance > 0; distance /= 2) {
    value = combine(value, __shfl_xor_sync(ALL_LANES, value, distance));
  }
  return value;
}

/// Writes 64 channels of a tile of rows: y[rows[r]][channel] = factors[i]·sums[i][j].
template <int side>
__device__ __forceinline__ void writeRows(float *y, int stride, const int *rows, int firstChannel, int width,
                                          const float (&sums)[side][OUTPUT_CHANNELS / 16],
                                          const float (&factors)[side]) {
  const int threadRow = threadIdx.x / 16, threadColumn = threadIdx.x % 16;
#pragma unroll
  for (int i = 0; i < side; ++i) {
    const int row = rows[threadRow + 16 * i];
    if (row == NO_ROW) continue;
#pragma unroll
    for (int j = 0; j < OUTPUT_CHANNELS / 16; ++j) {
      const int channel = firstChannel + threadColumn + 16 * j;
      if (channel < width) y[static_cast<long long>(row) * stride + channel] = factors[i] * sums[i][j];
    }
  }
}

/// Sets `rows` (shared memory, 16·other entries) to the rows to visit from `first` on.
template <int other, class Geometry>
__device__ __forceinline__ void listRows(int *rows, const Geometry &geometry, int first) {
  __syncthreads();  // The previous list has been read.
  if (threadIdx.x < 16 * other) {
    const int index = first + static_cast<int>(threadIdx.x);
    rows[threadIdx.x] = index < geometry.count ? geometry.row(index) : NO_ROW;
  }
  __syncthreads();
}

/// visible[i][j]: whether the query at a thread's row i of the tile sees the key at its column j; with `keysAreRows`,
/// the key at row i and the query at column j.
template <bool keysAreRows, int side, int other, class Geometry>
__device__ __forceinline__ void findVisible(bool (&visible)[side][other], const int *rows, const int *columns,
                                            const Geometry &geometry) {
  const int threadRow = threadIdx.x / 16, threadColumn = threadIdx.x % 16;
#pragma unroll
  for (int j = 0; j < other; ++j) {
    const int column = columns[threadColumn + 16 * j];
    const typename Geometry::Query query = geometry.query(column);
    const typename Geometry::Key key = geometry.key(column);
#pragma unroll
    for (int i = 0; i < side; ++i) {
      const int row = rows[threadRow + 16 * i];
      const bool sees = keysAreRows ? Geometry::sees(query, geometry.key(row))
                                    : Geometry::sees(geometry.query(row), key);
      visible[i][j] = row != NO_ROW && column != NO_ROW && sees;
    }
  }
}

/// The forward of a tile of queries: with aₘ = scale·q·kₘ, o = Σ exp(aₘ − max)·vₘ/Σ exp(aₘ − max) and
/// ℓ = max + ln Σ exp(aₘ − max).
///
/// - queryRows: the tile's rows, 16·side in shared memory, written and followed by a barrier
/// - output, logSumExps: those of this sample and head; query row r is at output + r·outputStride, logSumExps +
///   r·logStride
template <int side, int other, class Geometry>
__device__ __forceinline__ void attendTile(float *output, int outputStride, float *logSumExps, int logStride,
                                           const HeadRows &queries, const HeadRows &keys, const HeadRows &values,
                                           const int *queryRows, const Geometry &geometry, int width, float scale) {
  SHARED_ARRAY(int, keyRows, [16 * other]);
  SHARED_ARRAY(float, weights, [16 * side][16 * other + 1]);
  const int threadRow = threadIdx.x / 16, threadColumn = threadIdx.x % 16;
  const int firstChannel = blockIdx.z * OUTPUT_CHANNELS;
  const auto larger = [](float a, float b) { return fmaxf(a, b); };
  const auto add = [](float a, float b) { return a + b; };

  float largest[side], total[side], sums[side][OUTPUT_CHANNELS / 16] = {};
#pragma unroll
  for (int i = 0; i < side; ++i) largest[i] = -INFINITE, total[i] = 0;

  for (int first = 0; first < geometry.count; first += 16 * other) {
    listRows<other>(keyRows, geometry, first);
    float logits[side][other];
    rowProducts(logits, queries, queryRows, keys, keyRows, width);
    bool visible[side][other];
    findVisible<false>(visible, queryRows, keyRows, geometry);
#pragma unroll
    for (int i = 0; i < side; ++i) {
      float most = -INFINITE;
#pragma unroll
      for (int j = 0; j < other; ++j) {
        logits[i][j] = visible[i][j] ? scale * logits[i][j] : -INFINITE;
        most = fmaxf(most, logits[i][j]);
      }
      most = fmaxf(largest[i], reduceSixteen(most, larger));
      // The sums so far are relative to the old maximum. Before the first visible key there are none.
      const float correction = largest[i] == -INFINITE ? 0.0f : expf(largest[i] - most);
      float sum = 0;
#pragma unroll
      for (int j = 0; j < other; ++j) {
        const float weight = logits[i][j] == -INFINITE ? 0.0f : expf(logits[i][j] - most);
        weights[threadRow + 16 * i][threadColumn + 16 * j] = weight;
        sum += weight;
      }
      total[i] = total[i] * correction + reduceSixteen(sum, add);
      largest[i] = most;
#pragma unroll
      for (int j = 0; j < OUTPUT_CHANNELS / 16; ++j) sums[i][j] *= correction;
    }
    addWeightedRows<side, other>(sums, weights, values, keyRows, firstChannel, width);
  }
  float factors[side];
#pragma unroll
  for (int i = 0; i < side; ++i) {
    factors[i] = 1.0f / total[i];
    const int row = queryRows[threadRow + 16 * i];
    if (row != NO_ROW && threadColumn == 0 && blockIdx.z == 0) {
      logSumExps[static_cast<long long>(row) * logStride] = largest[i] + logf(total[i]);
    }
  }
  writeRows(output, outputStride, queryRows, firstChannel, width, sums, factors);
}

/// What the backward needs repeatedly for a query: ℓ, and do·o, which is Σ p·dp.
struct QueryTerms {
  const float *logSumExps, *means;
  int stride;
};

/// The gradient of a tile of queries. With pₘ = exp(scale·q·kₘ − ℓ) and dpₘ = do·vₘ:
/// dq = Σ scale·pₘ·(dpₘ − do·o)·kₘ
template <int side, int other, class Geometry>
__device__ __forceinline__ void dQueryTile(float *dQueries, int outputStride, const HeadRows &dOutput,
                                           const HeadRows &queries, const HeadRows &keys, const HeadRows &values,
                                           const QueryTerms &terms, const int *queryRows, const Geometry &geometry,
                                           int width, float scale) {
  SHARED_ARRAY(int, keyRows, [16 * other]);
  SHARED_ARRAY(float, weights, [16 * side][16 * other + 1]);
  const int threadRow = threadIdx.x / 16, threadColumn = threadIdx.x % 16;
  const int firstChannel = blockIdx.z * OUTPUT_CHANNELS;
  float sums[side][OUTPUT_CHANNELS / 16] = {}, factors[side];
#pragma unroll
  for (int i = 0; i < side; ++i) factors[i] = 1;
  for (int first = 0; first < geometry.count; first += 16 * other) {
    listRows<other>(keyRows, geometry, first);
    float products[side][other], dProbabilities[side][other];
    rowProducts(products, queries, queryRows, keys, keyRows, width);
    rowProducts(dProbabilities, dOutput, queryRows, values, keyRows, width);
    bool visible[side][other];
    findVisible<false>(visible, queryRows, keyRows, geometry);
#pragma unroll
    for (int i = 0; i < side; ++i) {
      const long long term = static_cast<long long>(queryRows[threadRow + 16 * i]) * terms.stride;
#pragma unroll
      for (int j = 0; j < other; ++j) {
        float weight = 0;
        if (visible[i][j]) {
          const float probability = expf(scale * products[i][j] - terms.logSumExps[term]);
          weight = scale * probability * (dProbabilities[i][j] - terms.means[term]);
        }
        weights[threadRow + 16 * i][threadColumn + 16 * j] = weight;
      }
    }
    addWeightedRows<side, other>(sums, weights, keys, keyRows, firstChannel, width);
  }
  writeRows(dQueries, outputStride, queryRows, firstChannel, width, sums, factors);
}

/// Adds the contributions of the visited queries to the gradients of a tile of keys and values:
/// dv += Σ p·do,  dk += Σ scale·p·(dp − do·o)·q
template <int side, int other, class Geometry>
__device__ __forceinline__ void addKeyTile(float (&dKeySums)[side][OUTPUT_CHANNELS / 16],
                                           float (&dValueSums)[side][OUTPUT_CHANNELS / 16], const HeadRows &dOutput,
                                           const HeadRows &queries, const HeadRows &keys, const HeadRows &values,
                                           const QueryTerms &terms, const int *keyRows, const Geometry &geometry,
                                           int width, float scale) {
  SHARED_ARRAY(int, queryRows, [16 * other]);
  SHARED_ARRAY(float, weights, [16 * side][16 * other + 1]);
  const int threadRow = threadIdx.x / 16, threadColumn = threadIdx.x % 16;
  const int firstChannel = blockIdx.z * OUTPUT_CHANNELS;
  for (int first = 0; first < geometry.count; first += 16 * other) {
    listRows<other>(queryRows, geometry, first);
    // Here keys are the rows of the tile and queries its columns.
    float products[side][other], dProbabilities[side][other];
    rowProducts(products, keys, keyRows, queries, queryRows, width);
    rowProducts(dProbabilities, values, keyRows, dOutput, queryRows, width);
    bool visible[side][other];
    findVisible<true>(visible, keyRows, queryRows, geometry);
#pragma unroll
    for (int i = 0; i < side; ++i) {
#pragma unroll
      for (int j = 0; j < other; ++j) {
        const long long term = static_cast<long long>(queryRows[threadColumn + 16 * j]) * terms.stride;
        float probability = 0, weight = 0;
        if (visible[i][j]) {
          probability = expf(scale * products[i][j] - terms.logSumExps[term]);
          weight = scale * probability * (dProbabilities[i][j] - terms.means[term]);
        }
        products[i][j] = weight;
        weights[threadRow + 16 * i][threadColumn + 16 * j] = probability;
      }
    }
    addWeightedRows<side, other>(dValueSums, weights, dOutput, queryRows, firstChannel, width);
    __syncthreads();  // The probabilities have been read.
#pragma unroll
    for (int i = 0; i < side; ++i) {
#pragma unroll
      for (int j = 0; j < other; ++j) weights[threadRow + 16 * i][threadColumn + 16 * j] = products[i][j];
    }
    addWeightedRows<side, other>(dKeySums, weights, queries, queryRows, firstChannel, width);
  }
}
