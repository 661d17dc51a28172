// CUDA C++ for the host: the features that a kernel may use, implemented on the emulated machine. Included before a
// kernel file.
//
// Deliberately omitted, so that a kernel that uses them does not compile here: floating-point atomics (their order, and
// so the result, would vary from run to run), shuffles by part of a warp, textures, assembly outside portable.cuh, and
// `__global__`: a kernel that is not declared with KERNEL would be missing from its file's list.

#pragma once
#define CUDA_EMULATOR 1

#include <cmath>
#include <cstdint>
#include <cstring>

#include "Machine.hpp"

#define __device__
#define __forceinline__ inline __attribute__((always_inline))

#define threadIdx (::cudaemu::currentThread->index)
#define blockIdx (::cudaemu::blockIndex)
#define blockDim (::cudaemu::blockExtent)
#define gridDim (::cudaemu::gridExtent)

#define SHARED_ARRAY(type, name, ...)                                     \
  static thread_local ::cudaemu::Shared<type __VA_ARGS__> name##InShared; \
  auto &name = name##InShared.touch()
#define DYNAMIC_SHARED(type, name) type *const name = reinterpret_cast<type *>(::cudaemu::currentBlock->dynamicShared)

struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

inline int min(int a, int b) { return b < a ? b : a; }
inline int max(int a, int b) { return a < b ? b : a; }
inline unsigned min(unsigned a, unsigned b) { return b < a ? b : a; }
inline unsigned max(unsigned a, unsigned b) { return a < b ? b : a; }
inline long long min(long long a, long long b) { return b < a ? b : a; }
inline long long max(long long a, long long b) { return a < b ? b : a; }

inline float __int_as_float(int bits) {
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}
inline float __uint_as_float(unsigned bits) { return __int_as_float(static_cast<int>(bits)); }
inline unsigned __float_as_uint(float value) {
  unsigned bits;
  std::memcpy(&bits, &value, 4);
  return bits;
}
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>((static_cast<unsigned long long>(a) * b) >> 32);
}
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __ffs(unsigned bits) { return __builtin_ffs(static_cast<int>(bits)); }
inline int __clz(unsigned bits) { return bits == 0 ? 32 : __builtin_clz(bits); }

// MARK: Synchronization of threads

inline void __syncthreads() { cudaemu::meetBlock(); }
inline void __syncwarp() { cudaemu::meetWarp(0, "__syncwarp"); }

/// Only whole warps exchange values here.
inline void requireAllLanes(unsigned mask) {
  if (mask != 0xffffffffu) cudaemu::fail("a shuffle by part of a warp");
}

template <class T> inline T __shfl_sync(unsigned mask, T value, int source) {
  requireAllLanes(mask);
  return cudaemu::meetWarp(value, "__shfl_sync")[source & 31];
}
template <class T> inline T __shfl_xor_sync(unsigned mask, T value, int distance) {
  requireAllLanes(mask);
  const unsigned lane = cudaemu::currentThread->lane;
  return cudaemu::meetWarp(value, "__shfl_xor_sync")[(lane ^ static_cast<unsigned>(distance)) & 31];
}
template <class T> inline T __shfl_up_sync(unsigned mask, T value, unsigned distance) {
  requireAllLanes(mask);
  const unsigned lane = cudaemu::currentThread->lane;
  return cudaemu::meetWarp(value, "__shfl_up_sync")[lane >= distance ? lane - distance : lane];
}
template <class T> inline T __shfl_down_sync(unsigned mask, T value, unsigned distance) {
  requireAllLanes(mask);
  const unsigned lane = cudaemu::currentThread->lane;
  return cudaemu::meetWarp(value, "__shfl_down_sync")[lane + distance < 32 ? lane + distance : lane];
}
inline unsigned __ballot_sync(unsigned mask, int predicate) {
  requireAllLanes(mask);
  const auto predicates = cudaemu::meetWarp(predicate, "__ballot_sync");
  unsigned ballot = 0;
  for (unsigned lane = 0; lane < 32; ++lane) ballot |= static_cast<unsigned>(predicates[lane] != 0) << lane;
  return ballot;
}

// MARK: What portable.cuh implements with PTX

inline unsigned packBF16(float low, float high) {
  const auto round = [](float value) -> unsigned {
    const unsigned bits = __float_as_uint(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fff;  // NaN
    return (bits + 0x7fffu + ((bits >> 16) & 1)) >> 16;
  };
  return round(low) | round(high) << 16;
}

inline unsigned roundTF32(float value) {
  const unsigned bits = __float_as_uint(value);
  if ((bits & 0x7f800000u) == 0x7f800000u) return bits;  // Infinity or NaN
  return (bits + 0x1000u) & ~0x1fffu;
}

/// In shared memory, the address of a 16-byte copy must be a multiple of 16.
inline bool isAligned16(const void *pointer) { return reinterpret_cast<uintptr_t>(pointer) % 16 == 0; }

inline void loadMatrices(unsigned (&words)[4], const void *row) {
  if (!isAligned16(row)) cudaemu::fail("ldmatrix: a row is not aligned to 16 bytes");
  const auto rows = cudaemu::meetWarp(static_cast<const unsigned char *>(row), "ldmatrix");
  const unsigned lane = cudaemu::currentThread->lane;
  for (unsigned j = 0; j < 4; ++j) std::memcpy(&words[j], rows[8 * j + lane / 4] + lane % 4 * 4, 4);
}

/// The fragments that a lane contributes to a product.
struct ProductFragments {
  unsigned a[4];
  unsigned b[2];
};

inline void multiplyBF16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  const auto lanes =
      cudaemu::meetWarp(ProductFragments{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}}, "mma.sync.m16n8k16");
  const unsigned lane = cudaemu::currentThread->lane;
  for (unsigned half = 0; half < 2; ++half) {          // rows g and g + 8
    for (unsigned column = 0; column < 2; ++column) {  // columns 2t and 2t + 1
      float sum = d[2 * half + column];
      for (unsigned step = 0; step < 8; ++step) {  // pairs of k: four lanes hold the lower eight, then the upper
        const unsigned owner = step % 4, upper = step / 4;
        const unsigned x = lanes[lane / 4 * 4 + owner].a[half + 2 * upper];
        const unsigned y = lanes[(lane % 4 * 2 + column) * 4 + owner].b[upper];
        sum += __uint_as_float(x << 16) * __uint_as_float(y << 16);
        sum += __uint_as_float(x & 0xffff0000u) * __uint_as_float(y & 0xffff0000u);
      }
      d[2 * half + column] = sum;
    }
  }
}

inline void multiplyTF32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  const auto lanes = cudaemu::meetWarp(ProductFragments{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}}, "mma.sync.m16n8k8");
  const unsigned lane = cudaemu::currentThread->lane;
  for (unsigned half = 0; half < 2; ++half) {
    for (unsigned column = 0; column < 2; ++column) {
      float sum = d[2 * half + column];
      for (unsigned k = 0; k < 8; ++k) {
        const unsigned x = lanes[lane / 4 * 4 + k % 4].a[half + 2 * (k / 4)];
        const unsigned y = lanes[(lane % 4 * 2 + column) * 4 + k % 4].b[k / 4];
        // The hardware reads 19 of the 32 bits.
        sum += __uint_as_float(x & ~0x1fffu) * __uint_as_float(y & ~0x1fffu);
      }
      d[2 * half + column] = sum;
    }
  }
}

/// A copy may arrive at any time between its start and the wait that covers it. Some schedules copy at the wait, so
/// that a missing wait shows up as old data; the others copy immediately, so that memory reused too early shows up.
inline void copyAsync(void *shared, const void *source, bool valid) {
  if (!isAligned16(shared) || (valid && !isAligned16(source))) cudaemu::fail("cp.async: 16 bytes that are not aligned");
  const cudaemu::PendingCopy copy{shared, source, valid};
  cudaemu::CopyQueue &queue = cudaemu::currentThread->queue;
  if (queue.count == cudaemu::CopyQueue::capacity) cudaemu::fail("cp.async: more copies than the emulator can queue");
  queue.copies[queue.count++] = copy;
  if (cudaemu::currentBlock->copiesAtOnce) {
    if (valid) std::memcpy(shared, source, 16);
    else std::memset(shared, 0, 16);
  }
}

inline void commitCopies() {
  cudaemu::CopyQueue &queue = cudaemu::currentThread->queue;
  if (queue.groups == cudaemu::CopyQueue::groupCapacity) cudaemu::fail("cp.async: more groups than can be queued");
  queue.groupEnds[queue.groups++] = queue.count;
}

template <int pending> inline void awaitCopies() {
  cudaemu::CopyQueue &queue = cudaemu::currentThread->queue;
  if (queue.groups <= pending) return;
  const unsigned done = queue.groups - pending;
  const unsigned end = queue.groupEnds[done - 1];
  for (unsigned i = 0; i < end && !cudaemu::currentBlock->copiesAtOnce; ++i) {
    const cudaemu::PendingCopy &copy = queue.copies[i];
    if (copy.valid) std::memcpy(copy.destination, copy.source, 16);
    else std::memset(copy.destination, 0, 16);
  }
  for (unsigned i = end; i < queue.count; ++i) queue.copies[i - end] = queue.copies[i];
  for (unsigned i = done; i < queue.groups; ++i) queue.groupEnds[i - done] = queue.groupEnds[i] - end;
  queue.count -= end;
  queue.groups = pending;
}
