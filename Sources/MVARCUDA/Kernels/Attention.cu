// Dense attention within spans: runs of consecutive queries that each see one run of keys.
//
// Tensors are [batch, positions, heads, width]. A block processes 64 queries of a span (16 in the kernels for few
// tokens), for one sample and head and 64 channels of the result. See attention.cuh for the algorithm.

#include "attention.cuh"
#include "reductions.cuh"

/// A run of keys that a tile of queries iterates over: every key is visible.
struct KeyRun {
  struct Query {};
  struct Key {};
  int count, first;

  __device__ __forceinline__ int row(int index) const { return first + index; }
  __device__ __forceinline__ Query query(int) const { return {}; }
  __device__ __forceinline__ Key key(int) const { return {}; }
  static __device__ __forceinline__ bool sees(const Query &, const Key &) { return true; }
};

/// A run of queries that a tile of keys iterates over: each sees the keys `firstKey` ..< `endKey`.
struct QueryRun {
  struct Query {
    int firstKey, endKey;
  };
  struct Key {
    int row;
  };
  int count, first;
  int firstKey, endKey;

  __device__ __forceinline__ int row(int index) const { return first + index; }
  __device__ __forceinline__ Query query(int) const { return {firstKey, endKey}; }
  __device__ __forceinline__ Key key(int row) const { return {row}; }
  static __device__ __forceinline__ bool sees(const Query &query, const Key &key) {
    return key.row >= query.firstKey && key.row < query.endKey;
  }
};

/// The rows of this block's sample and head: blockIdx.y is sample·heads + head.
static __device__ __forceinline__ HeadRows headRows(const float *x, int positions, int heads, int width) {
  const long long sample = blockIdx.y / heads, head = blockIdx.y % heads;
  return {x + (sample * positions * heads + head) * width, heads * width};
}

/// The rows of a tile, in shared memory: `first` ..< `end`, then NO_ROW.
template <int side> static __device__ __forceinline__ void listTile(int *rows, int first, int end) {
  if (threadIdx.x < 16 * side) {
    const int row = first + static_cast<int>(threadIdx.x);
    rows[threadIdx.x] = row < end ? row : NO_ROW;
  }
  __syncthreads();
}

template <int side>
static __device__ __forceinline__ void attend(float *output, float *logSumExps, const float *queries, const float *keys,
                                              const float *values, const int *tiles, int queryCount, int keyCount,
                                              int heads, int width, float scale) {
  SHARED_ARRAY(int, queryRows, [16 * side]);
  const int *tile = tiles + 4 * blockIdx.x;
  listTile<side>(queryRows, tile[0], tile[1]);
  const long long sample = blockIdx.y / heads, head = blockIdx.y % heads;
  const long long firstRow = sample * queryCount * heads + head;
  attendTile<side, side>(output + firstRow * width, heads * width, logSumExps + firstRow, heads,
                         headRows(queries, queryCount, heads, width), headRows(keys, keyCount, heads, width),
                         headRows(values, keyCount, heads, width), queryRows, KeyRun{tile[3] - tile[2], tile[2]}, width,
                         scale);
}

/// attention: o[n] = Σₘ p[n, m]·v[m] over the keys of the query's span, p = softmax(scale·q[n]·k[m]), and ln Σ exp of
/// the scaled logits. `attention` has tiles of 64 queries by 64 keys, `attentionSmall` of 16 by 16, for spans of few
/// tokens.
///
/// - output, queries [batch, queryCount, heads, width]
/// - logSumExps [batch, queryCount, heads]
/// - keys, values [batch, keyCount, heads, width]
/// - tiles [tileCount, 4] int: first query, end of the queries (at most 64, or 16, after the first), first key, end of
///   the keys. Every query is in exactly one tile; a span is cut into ⌈queries/64⌉ tiles with the same keys.
/// - grid (tileCount, batch·heads ≤ 65535, ⌈width/64⌉); block 256
KERNEL(attention, float *output, float *logSumExps, const float *queries, const float *keys, const float *values,
       const int *tiles, int queryCount, int keyCount, int heads, int width, float scale) {
  attend<4>(output, logSumExps, queries, keys, values, tiles, queryCount, keyCount, heads, width, scale);
}

/// attentionSmall: the same with tiles of 16 by 16.
RESIDENT_KERNEL(6, attentionSmall, float *output, float *logSumExps, const float *queries, const float *keys,
                const float *values, const int *tiles, int queryCount, int keyCount, int heads, int width,
                float scale) {
  attend<1>(output, logSumExps, queries, keys, values, tiles, queryCount, keyCount, heads, width, scale);
}

/// means[row] = Σ_c dy[row, c]·y[row, c]: do·o for every query and head, which both backward kernels need.
///
/// - means [rows], rows = batch·queryCount·heads
/// - dOutput, output [rows, width]
/// - grid ⌈rows/8⌉; block 256: one warp per row
KERNEL(dAttentionMeans, float *means, const float *dOutput, const float *output, long long rows, int width) {
  const long long row = static_cast<long long>(blockIdx.x) * (BLOCK / 32) + threadIdx.x / 32;
  if (row >= rows) return;
  float sum = 0;
  for (int c = threadIdx.x % 32; c < width; c += 32) sum += dOutput[row * width + c] * output[row * width + c];
  sum = reduceWarp<Sum>(sum);
  if (threadIdx.x % 32 == 0) means[row] = sum;
}

/// The gradient of `attention` with respect to the queries.
///
/// - dQueries, dOutput, queries [batch, queryCount, heads, width]
/// - keys, values [batch, keyCount, heads, width]
/// - logSumExps, means [batch, queryCount, heads]; the means are those of `dAttentionMeans`
/// - tiles: those of `attention`, of at most 64 queries
/// - grid (tileCount, batch·heads ≤ 65535, ⌈width/64⌉); block 256
KERNEL(dAttentionQueries, float *dQueries, const float *dOutput, const float *queries, const float *keys,
       const float *values, const float *logSumExps, const float *means, const int *tiles, int queryCount, int keyCount,
       int heads, int width, float scale) {
  SHARED_ARRAY(int, queryRows, [64]);
  const int *tile = tiles + 4 * blockIdx.x;
  listTile<4>(queryRows, tile[0], tile[1]);
  const long long sample = blockIdx.y / heads, head = blockIdx.y % heads;
  const long long firstRow = sample * queryCount * heads + head;
  dQueryTile<4, 4>(dQueries + firstRow * width, heads * width, headRows(dOutput, queryCount, heads, width),
                   headRows(queries, queryCount, heads, width), headRows(keys, keyCount, heads, width),
                   headRows(values, keyCount, heads, width), {logSumExps + firstRow, means + firstRow, heads},
                   queryRows, KeyRun{tile[3] - tile[2], tile[2]}, width, scale);
}

/// The gradients of `attention` with respect to keys and values; zero for keys that no query sees.
///
/// A block processes 64 keys and iterates over all spans in order, so the order of summation is fixed whatever else
/// runs.
///
/// - dKeys, dValues, keys, values [batch, keyCount, heads, width]
/// - dOutput, queries [batch, queryCount, heads, width]
/// - logSumExps, means [batch, queryCount, heads]
/// - spans [spanCount, 4] int: first query, end of the queries, first key, end of the keys
/// - grid (⌈keyCount/64⌉, batch·heads ≤ 65535, ⌈width/64⌉); block 256
KERNEL(dAttentionKeys, float *dKeys, float *dValues, const float *dOutput, const float *queries, const float *keys,
       const float *values, const float *logSumExps, const float *means, const int *spans, int spanCount,
       int queryCount, int keyCount, int heads, int width, float scale) {
  SHARED_ARRAY(int, keyRows, [64]);
  const int firstKey = blockIdx.x * 64, endKey = min(firstKey + 64, keyCount);
  listTile<4>(keyRows, firstKey, endKey);
  const long long sample = blockIdx.y / heads, head = blockIdx.y % heads;
  const long long firstRow = sample * queryCount * heads + head;
  float dKeySums[4][OUTPUT_CHANNELS / 16] = {}, dValueSums[4][OUTPUT_CHANNELS / 16] = {};
  for (int i = 0; i < spanCount; ++i) {
    const int *span = spans + 4 * i;
    if (span[3] <= firstKey || span[2] >= endKey) continue;
    addKeyTile<4, 4>(dKeySums, dValueSums, headRows(dOutput, queryCount, heads, width),
                     headRows(queries, queryCount, heads, width), headRows(keys, keyCount, heads, width),
                     headRows(values, keyCount, heads, width), {logSumExps + firstRow, means + firstRow, heads},
                     keyRows, QueryRun{span[1] - span[0], span[0], span[2], span[3]}, width, scale);
  }
  const float factors[4] = {1, 1, 1, 1};
  const long long start = (sample * keyCount * heads + head) * width;
  writeRows(dKeys + start, heads * width, keyRows, blockIdx.z * OUTPUT_CHANNELS, width, dKeySums, factors);
  writeRows(dValues + start, heads * width, keyRows, blockIdx.z * OUTPUT_CHANNELS, width, dValueSums, factors);
}
