// Sums and maxima over the 32 lanes of a warp and over a block. The order of the additions depends only on the shape of
// the block, so a result is the same in every run.

#pragma once
#include "portable.cuh"

/// Addition, for `reduceWarp` and `reduceBlock`.
struct Sum {
  template <class T> static __device__ __forceinline__ T of(T a, T b) { return a + b; }
  template <class T> static __device__ __forceinline__ T neutral() { return T(0); }
};

/// The larger of two floats, for `reduceWarp` and `reduceBlock`.
struct Maximum {
  static __device__ __forceinline__ float of(float a, float b) { return fmaxf(a, b); }
  template <class T> static __device__ __forceinline__ T neutral() { return -INFINITE; }
};

/// The row of this thread's warp if each warp of a block of 256 threads processes one; may be past the last.
#define WARP_ROW (static_cast<long long>(blockIdx.x) * (BLOCK / 32) + threadIdx.x / 32)

/// The reduction of one value per lane, in every lane: lanes at distance 16, 8, 4, 2, 1 exchange their partial results.
template <class Operation, class T> __device__ __forceinline__ T reduceWarp(T value) {
  for (int distance = 16; distance > 0; distance /= 2) {
    value = Operation::of(value, __shfl_xor_sync(ALL_LANES, value, distance));
  }
  return value;
}

/// The reduction of one value per thread of a block of whole warps, in every thread: first each warp, then every warp
/// reduces the results of all of them.
template <class Operation, class T> __device__ __forceinline__ T reduceBlock(T value) {
  SHARED_ARRAY(T, partial, [32]);
  const unsigned lane = threadIdx.x % 32;
  value = reduceWarp<Operation>(value);
  __syncthreads();  // The readers of an earlier call are done with `partial`.
  if (lane == 0) partial[threadIdx.x / 32] = value;
  __syncthreads();
  return reduceWarp<Operation>(lane < blockDim.x / 32 ? partial[lane] : Operation::template neutral<T>());
}
