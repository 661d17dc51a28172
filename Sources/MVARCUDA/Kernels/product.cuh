// Tiled matrix products C = A·B for any kinds of A and B.
//
// Every product of the model is Σₖ A(m, k)·B(n, k): both operands are treated as rows of depth k. An operand is a type
// that determines where its elements come from: a matrix, or for a convolution the patches of an image, which are never
// stored in memory.
//
//     struct Operand {
//       static constexpr bool depthIsContiguous;  // adjacent in memory: k and k + 1, or row and row + 1
//       struct Row;                               // what can be computed once per row
//       Row row(int index) const;
//       float at(const Row &row, int k) const;    // never called outside the sizes
//     };
//
// A block computes one tile of C. It advances along k in short steps; in each, all threads fetch a slab of A and of B
// into registers while the previous slab is multiplied from shared memory, then store the fetched values into the other
// of two buffers. So an element is read from device memory once per tile, not once per product.
//
// Elements outside the sizes are fetched as zero, which adds nothing.

#pragma once
#include "portable.cuh"

/// Rows, columns and the range of k of a product.
struct ProductSizes {
  int rows, columns;
  int firstDepth, endDepth;
};

/// A matrix as an operand: at(r, k) = start[r·rowStride + k], or start[k·rowStride + r] if `depthIsContiguous` is
/// false.
template <bool contiguous> struct MatrixOperand {
  static constexpr bool depthIsContiguous = contiguous;
  struct Row {
    const float *start;
  };
  const float *start;
  int stride;

  __device__ __forceinline__ Row row(int index) const {
    return {start + (contiguous ? static_cast<long long>(index) * stride : static_cast<long long>(index))};
  }
  __device__ __forceinline__ float at(const Row &row, int k) const {
    return row.start[contiguous ? static_cast<long long>(k) : static_cast<long long>(k) * stride];
  }
};

/// One thread's elements of a slab of `tile` rows and `depth` steps of k, for 256 threads: slot i is at (slotRow(i),
/// slotDepth(i)). Adjacent threads take adjacent elements in memory.
template <class Operand, int tile, int depth> struct SlabShare {
  static constexpr int slots = tile * depth / BLOCK;
  const Operand &operand;
  const int rowLimit;
  const int firstRow;
  typename Operand::Row onlyRow;

  __device__ __forceinline__ SlabShare(const Operand &operand, int firstRow, int rowLimit)
      : operand(operand), rowLimit(rowLimit), firstRow(firstRow) {
    // If rows are adjacent in memory, a thread has the same row in every slot (256 is a multiple of the tile).
    if (!Operand::depthIsContiguous) onlyRow = operand.row(min(firstRow + slotRow(0), rowLimit - 1));
  }

  static __device__ __forceinline__ int slotRow(int i) {
    return Operand::depthIsContiguous ? threadIdx.x / depth + i * (BLOCK / depth) : threadIdx.x % tile;
  }
  static __device__ __forceinline__ int slotDepth(int i) {
    return Operand::depthIsContiguous ? threadIdx.x % depth : threadIdx.x / tile + i * (BLOCK / tile);
  }

  /// The element at k of the row of slot i; zero outside.
  __device__ __forceinline__ float fetch(int i, int k, int endDepth) const {
    const int row = firstRow + slotRow(i);
    if (row >= rowLimit || k >= endDepth) return 0;
    if (Operand::depthIsContiguous) return operand.at(operand.row(row), k);
    return operand.at(onlyRow, k);
  }
};

/// A tile in float32 arithmetic: 16·side × 16·side elements of C, side² of them in the registers of each of 256
/// threads.
///
/// A thread has rows in runs of four, 64 apart, and columns likewise: it then reads four adjacent elements at a time
/// from shared memory, and the threads of a warp together read without bank conflicts. Each element read is used `side`
/// times, so that the multiplications, not the reads, are the bottleneck.
///
/// - output(row, column, value) is called once for every element of the tile.
template <int side, class A, class B, class Output>
__device__ __forceinline__ void productFloat32(const A &a, const B &b, const ProductSizes &sizes,
                                               const Output &output) {
  constexpr int tile = 16 * side, depth = 8, quads = side / 4;
  SHARED_ARRAY(float, slabsA, [2][depth][tile + 4]);
  SHARED_ARRAY(float, slabsB, [2][depth][tile + 4]);
  const int firstRow = blockIdx.y * tile, firstColumn = blockIdx.x * tile;
  const int threadRow = threadIdx.x / 16 * 4, threadColumn = threadIdx.x % 16 * 4;
  using ShareA = SlabShare<A, tile, depth>;
  using ShareB = SlabShare<B, tile, depth>;
  const ShareA shareA(a, firstRow, sizes.rows);
  const ShareB shareB(b, firstColumn, sizes.columns);
  float fetchedA[ShareA::slots], fetchedB[ShareB::slots];
  float sums[side][side] = {};

  const auto fetch = [&](int k) {
#pragma unroll
    for (int i = 0; i < ShareA::slots; ++i) fetchedA[i] = shareA.fetch(i, k + ShareA::slotDepth(i), sizes.endDepth);
#pragma unroll
    for (int i = 0; i < ShareB::slots; ++i) fetchedB[i] = shareB.fetch(i, k + ShareB::slotDepth(i), sizes.endDepth);
  };
  const auto store = [&](int buffer) {
#pragma unroll
    for (int i = 0; i < ShareA::slots; ++i) slabsA[buffer][ShareA::slotDepth(i)][ShareA::slotRow(i)] = fetchedA[i];
#pragma unroll
    for (int i = 0; i < ShareB::slots; ++i) slabsB[buffer][ShareB::slotDepth(i)][ShareB::slotRow(i)] = fetchedB[i];
  };

  fetch(sizes.firstDepth);
  store(0);
  __syncthreads();
  int buffer = 0;
  for (int k = sizes.firstDepth; k < sizes.endDepth; k += depth) {
    const bool more = k + depth < sizes.endDepth;
    if (more) fetch(k + depth);
#pragma unroll
    for (int step = 0; step < depth; ++step) {
      float rows[side], columns[side];
#pragma unroll
      for (int quad = 0; quad < quads; ++quad) {
        const float4 four = *reinterpret_cast<const float4 *>(&slabsA[buffer][step][quad * 64 + threadRow]);
        rows[4 * quad] = four.x, rows[4 * quad + 1] = four.y, rows[4 * quad + 2] = four.z, rows[4 * quad + 3] = four.w;
        const float4 more4 = *reinterpret_cast<const float4 *>(&slabsB[buffer][step][quad * 64 + threadColumn]);
        columns[4 * quad] = more4.x, columns[4 * quad + 1] = more4.y;
        columns[4 * quad + 2] = more4.z, columns[4 * quad + 3] = more4.w;
      }
#pragma unroll
      for (int i = 0; i < side; ++i) {
#pragma unroll
        for (int j = 0; j < side; ++j) sums[i][j] += rows[i] * columns[j];
      }
    }
    // The other buffer was last read before the barrier that ended the previous step.
    if (more) store(buffer ^ 1);
    __syncthreads();
    buffer ^= 1;
  }
#pragma unroll
  for (int i = 0; i < side; ++i) {
    const int row = firstRow + i / 4 * 64 + threadRow + i % 4;
#pragma unroll
    for (int j = 0; j < side; ++j) {
      const int column = firstColumn + j / 4 * 64 + threadColumn + j % 4;
      if (row < sizes.rows && column < sizes.columns) output(row, column, sums[i][j]);
    }
  }
}

/// Operands as tensor cores take them, in 32-bit words: two bfloat16 values per word.
struct BFloat16Words {
  static constexpr int numbers = 2;
  static __device__ __forceinline__ unsigned pack(const float (&values)[2]) { return packBF16(values[0], values[1]); }
  static __device__ __forceinline__ void multiply(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    multiplyBF16(d, a, b);
  }
};

/// Operands as tensor cores take them, in 32-bit words: one TF32 value per word.
struct TF32Words {
  static constexpr int numbers = 1;
  static __device__ __forceinline__ unsigned pack(const float (&values)[1]) { return roundTF32(values[0]); }
  static __device__ __forceinline__ void multiply(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    multiplyTF32(d, a, b);
  }
};

/// A tile of 128 × 128 on tensor cores: operands rounded to `Words`, sums in float32.
///
/// A slab is 16 words deep (32 bfloat16 or 16 TF32 values) and is stored in shared memory as words [row][k]; in words,
/// the fragments of both types look the same, 16 × 8 of A and 8 × 8 of B. Rows are 20 words apart: eight of them, read
/// at once by a lane group of ldmatrix, then fall into different banks. Each of the 8 warps computes 64 × 32 elements
/// as 4 × 4 products of 16 × 8.
///
/// - output(row, column, value) is called once for every element of the tile.
template <class Words, class A, class B, class Output>
__device__ __forceinline__ void productTensorCores(const A &a, const B &b, const ProductSizes &sizes,
                                                   const Output &output) {
  constexpr int tile = 128, words = 16, pitch = 20, numbers = Words::numbers;
  SHARED_ARRAY(unsigned, slabsA, [2][tile][pitch]);
  SHARED_ARRAY(unsigned, slabsB, [2][tile][pitch]);
  const int firstRow = blockIdx.y * tile, firstColumn = blockIdx.x * tile;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int warpRow = warp / 4 * 64, warpColumn = warp % 4 * 32;
  using ShareA = SlabShare<A, tile, words>;
  using ShareB = SlabShare<B, tile, words>;
  const ShareA shareA(a, firstRow, sizes.rows);
  const ShareB shareB(b, firstColumn, sizes.columns);
  float fetchedA[ShareA::slots][numbers], fetchedB[ShareB::slots][numbers];
  float sums[4][4][4] = {};

  const auto fetch = [&](int k) {
#pragma unroll
    for (int i = 0; i < ShareA::slots; ++i) {
#pragma unroll
      for (int j = 0; j < numbers; ++j) {
        fetchedA[i][j] = shareA.fetch(i, k + ShareA::slotDepth(i) * numbers + j, sizes.endDepth);
      }
    }
#pragma unroll
    for (int i = 0; i < ShareB::slots; ++i) {
#pragma unroll
      for (int j = 0; j < numbers; ++j) {
        fetchedB[i][j] = shareB.fetch(i, k + ShareB::slotDepth(i) * numbers + j, sizes.endDepth);
      }
    }
  };
  const auto store = [&](int buffer) {
#pragma unroll
    for (int i = 0; i < ShareA::slots; ++i) {
      slabsA[buffer][ShareA::slotRow(i)][ShareA::slotDepth(i)] = Words::pack(fetchedA[i]);
    }
#pragma unroll
    for (int i = 0; i < ShareB::slots; ++i) {
      slabsB[buffer][ShareB::slotRow(i)][ShareB::slotDepth(i)] = Words::pack(fetchedB[i]);
    }
  };

  fetch(sizes.firstDepth);
  store(0);
  __syncthreads();
  int buffer = 0;
  for (int k = sizes.firstDepth; k < sizes.endDepth; k += words * numbers) {
    const bool more = k + words * numbers < sizes.endDepth;
    if (more) fetch(k + words * numbers);
#pragma unroll
    for (int step = 0; step < words; step += 8) {
      unsigned fragmentsA[4][4], fragmentsB[4][2];
      // Of the four 8 × 4-word pieces of A: upper left, lower left, upper right, lower right; each lane gives the
      // address of a row of one.
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        loadMatrices(fragmentsA[i],
                     &slabsA[buffer][warpRow + 16 * i + lane / 8 % 2 * 8 + lane % 8][step + lane / 16 * 4]);
      }
      // Two fragments of B at once: lower and upper k of eight columns, then of the next eight.
#pragma unroll
      for (int j = 0; j < 4; j += 2) {
        unsigned pieces[4];
        loadMatrices(pieces, &slabsB[buffer][warpColumn + 8 * j + lane / 16 * 8 + lane % 8][step + lane / 8 % 2 * 4]);
        fragmentsB[j][0] = pieces[0], fragmentsB[j][1] = pieces[1];
        fragmentsB[j + 1][0] = pieces[2], fragmentsB[j + 1][1] = pieces[3];
      }
#pragma unroll
      for (int i = 0; i < 4; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) Words::multiply(sums[i][j], fragmentsA[i], fragmentsB[j]);
      }
    }
    if (more) store(buffer ^ 1);
    __syncthreads();
    buffer ^= 1;
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int row = firstRow + warpRow + 16 * i + lane / 4 + e / 2 * 8;
        const int column = firstColumn + warpColumn + 8 * j + lane % 4 * 2 + e % 2;
        if (row < sizes.rows && column < sizes.columns) output(row, column, sums[i][j][e]);
      }
    }
  }
}

/// The ways to compute a tile, for kernels that exist in every precision.
struct Float32 {
  template <class A, class B, class Output>
  static __device__ __forceinline__ void run(const A &a, const B &b, const ProductSizes &sizes, const Output &output) {
    productFloat32<8>(a, b, sizes, output);
  }
};
struct Float32Small {
  template <class A, class B, class Output>
  static __device__ __forceinline__ void run(const A &a, const B &b, const ProductSizes &sizes, const Output &output) {
    productFloat32<4>(a, b, sizes, output);
  }
};
struct TF32 {
  template <class A, class B, class Output>
  static __device__ __forceinline__ void run(const A &a, const B &b, const ProductSizes &sizes, const Output &output) {
    productTensorCores<TF32Words>(a, b, sizes, output);
  }
};
struct BF16 {
  template <class A, class B, class Output>
  static __device__ __forceinline__ void run(const A &a, const B &b, const ProductSizes &sizes, const Output &output) {
    productTensorCores<BFloat16Words>(a, b, sizes, output);
  }
};
