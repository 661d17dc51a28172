// Attention within a window on a map: query (i, j) sees keys [w(i), w(i) + window) × [w(j), w(j) + window) with
// w(i) = clamp(i − ⌊window/2⌋, 0, side − window), so every query has window² keys.
//
// A block processes a square of 8 × 8 queries, for one sample and head and 64 channels of the result. The windows of a
// square overlap: together they cover a rectangle of at most (7 + window)² keys, which the block iterates over in tiles
// of 64, masking for each query the keys outside its own window. The reverse also holds, because w is monotonic in i:
// the queries that see any key of a square form a rectangle too. See attention.cuh for the algorithm.
//
// Tensors are [batch, height, width, heads, headWidth]; a grid's first extent is ⌈height/8⌉·⌈width/8⌉.

#include "attention.cuh"

/// The side of a block's square.
#define SQUARE 8

/// The first row (or column) of the window of a query: centered if it fits, shifted inward at the border.
static __device__ __forceinline__ int windowStart(int position, int window, int side) {
  return min(max(position - window / 2, 0), side - window);
}

/// A map, and a rectangle of it to iterate over.
struct MapGeometry {
  struct Query {
    int top, left, window;
  };
  struct Key {
    int i, j;
  };
  int count;
  int top, left, rectangleWidth;
  int height, width, window;

  /// The rectangle from (top, left) inclusive to (bottom, right) exclusive.
  __device__ __forceinline__ MapGeometry(int height, int width, int window, int top, int left, int bottom, int right)
      : count((bottom - top) * (right - left)), top(top), left(left), rectangleWidth(right - left), height(height),
        width(width), window(window) {}

  __device__ __forceinline__ int row(int index) const {
    const int line = index / rectangleWidth;
    return (top + line) * width + left + (index - line * rectangleWidth);
  }
  __device__ __forceinline__ Query query(int row) const {
    return {windowStart(row / width, window, height), windowStart(row % width, window, width), window};
  }
  __device__ __forceinline__ Key key(int row) const { return {row / width, row % width}; }
  static __device__ __forceinline__ bool sees(const Query &query, const Key &key) {
    // Reinterpreted as unsigned, negative differences are too large as well.
    return static_cast<unsigned>(key.i - query.top) < static_cast<unsigned>(query.window) &&
           static_cast<unsigned>(key.j - query.left) < static_cast<unsigned>(query.window);
  }
};

/// The square of this block: rows top …< bottom and columns left …< right of the map.
struct Square {
  int top, left, bottom, right;

  __device__ __forceinline__ Square(int height, int width) {
    const int across = (width + SQUARE - 1) / SQUARE;
    top = static_cast<int>(blockIdx.x) / across * SQUARE;
    left = static_cast<int>(blockIdx.x) % across * SQUARE;
    bottom = min(top + SQUARE, height);
    right = min(left + SQUARE, width);
  }
  /// Writes the positions of the square to shared memory; ends with a barrier.
  __device__ __forceinline__ void list(int *rows, int width) const {
    if (threadIdx.x < SQUARE * SQUARE) {
      const int i = top + static_cast<int>(threadIdx.x) / SQUARE, j = left + static_cast<int>(threadIdx.x) % SQUARE;
      rows[threadIdx.x] = i < bottom && j < right ? i * width + j : NO_ROW;
    }
    __syncthreads();
  }
  /// The rectangle of all keys that a query of the square sees.
  __device__ __forceinline__ MapGeometry keys(int height, int width, int window) const {
    return MapGeometry(height, width, window, windowStart(top, window, height), windowStart(left, window, width),
                       windowStart(bottom - 1, window, height) + window,
                       windowStart(right - 1, window, width) + window);
  }
  /// The rectangle of all queries that see a key of the square.
  __device__ __forceinline__ MapGeometry queries(int height, int width, int window) const {
    return MapGeometry(height, width, window, firstSeeing(top, window), firstSeeing(left, window),
                       endSeeing(bottom - 1, window, height), endSeeing(right - 1, window, width));
  }

 private:
  /// The first query whose window ends after a key: w(i) + window > key.
  static __device__ __forceinline__ int firstSeeing(int key, int window) {
    return key < window ? 0 : key - window + 1 + window / 2;
  }
  /// One past the last query whose window begins at or before a key: w(i) ≤ key.
  static __device__ __forceinline__ int endSeeing(int key, int window, int side) {
    return key >= side - window ? side : key + window / 2 + 1;
  }
};

/// The index of the first row of this block's sample and head; rows are `heads` apart.
static __device__ __forceinline__ long long firstHeadRow(int positions, int heads) {
  return static_cast<long long>(blockIdx.y / heads) * positions * heads + blockIdx.y % heads;
}

/// neighborhoodAttention: the output, and ln Σ exp of the scaled logits.
///
/// - output, queries, keys, values [batch, height, width, heads, headWidth]
/// - logSumExps [batch, height, width, heads]
/// - window: at least 1, at most height and width
/// - grid (⌈height/8⌉·⌈width/8⌉, batch·heads ≤ 65535, ⌈headWidth/64⌉); block 256
KERNEL(neighborhoodAttention, float *output, float *logSumExps, const float *queries, const float *keys,
       const float *values, int height, int width, int heads, int headWidth, int window, float scale) {
  SHARED_ARRAY(int, queryRows, [SQUARE * SQUARE]);
  const Square square(height, width);
  square.list(queryRows, width);
  const long long firstRow = firstHeadRow(height * width, heads), start = firstRow * headWidth;
  const int stride = heads * headWidth;
  attendTile<4, 4>(output + start, stride, logSumExps + firstRow, heads, {queries + start, stride},
                   {keys + start, stride}, {values + start, stride}, queryRows, square.keys(height, width, window),
                   headWidth, scale);
}

/// The gradient of `neighborhoodAttention` with respect to the queries.
///
/// - dQueries, dOutput, queries, keys, values [batch, height, width, heads, headWidth]
/// - logSumExps, means [batch, height, width, heads]; the means are those of `dAttentionMeans` (Attention.cu)
/// - grid (⌈height/8⌉·⌈width/8⌉, batch·heads ≤ 65535, ⌈headWidth/64⌉); block 256
KERNEL(dNeighborhoodAttentionQueries, float *dQueries, const float *dOutput, const float *queries, const float *keys,
       const float *values, const float *logSumExps, const float *means, int height, int width, int heads,
       int headWidth, int window, float scale) {
  SHARED_ARRAY(int, queryRows, [SQUARE * SQUARE]);
  const Square square(height, width);
  square.list(queryRows, width);
  const long long firstRow = firstHeadRow(height * width, heads), start = firstRow * headWidth;
  const int stride = heads * headWidth;
  dQueryTile<4, 4>(dQueries + start, stride, {dOutput + start, stride}, {queries + start, stride},
                   {keys + start, stride}, {values + start, stride}, {logSumExps + firstRow, means + firstRow, heads},
                   queryRows, square.keys(height, width, window), headWidth, scale);
}

/// The gradients of `neighborhoodAttention` with respect to keys and values: each key gathers from the queries that see
/// it.
///
/// - dKeys, dValues, dOutput, queries, keys, values [batch, height, width, heads, headWidth]
/// - logSumExps, means [batch, height, width, heads]
/// - grid (⌈height/8⌉·⌈width/8⌉, batch·heads ≤ 65535, ⌈headWidth/64⌉); block 256
KERNEL(dNeighborhoodAttentionKeys, float *dKeys, float *dValues, const float *dOutput, const float *queries,
       const float *keys, const float *values, const float *logSumExps, const float *means, int height, int width,
       int heads, int headWidth, int window, float scale) {
  SHARED_ARRAY(int, keyRows, [SQUARE * SQUARE]);
  const Square square(height, width);
  square.list(keyRows, width);
  const long long firstRow = firstHeadRow(height * width, heads), start = firstRow * headWidth;
  const int stride = heads * headWidth;
  float dKeySums[4][OUTPUT_CHANNELS / 16] = {}, dValueSums[4][OUTPUT_CHANNELS / 16] = {};
  addKeyTile<4, 4>(dKeySums, dValueSums, {dOutput + start, stride}, {queries + start, stride}, {keys + start, stride},
                   {values + start, stride}, {logSumExps + firstRow, means + firstRow, heads}, keyRows,
                   square.queries(height, width, window), headWidth, scale);
  const float factors[4] = {1, 1, 1, 1};
  writeRows(dKeys + start, stride, keyRows, blockIdx.z * OUTPUT_CHANNELS, headWidth, dKeySums, factors);
  writeRows(dValues + start, stride, keyRows, blockIdx.z * OUTPUT_CHANNELS, headWidth, dValueSums, factors);
}
