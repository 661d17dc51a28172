// Everything that the kernels need beyond plain CUDA C++ without headers: named shared memory, tensor-core products,
// asynchronous copies, and 16-bit number types.
//
// A kernel file includes this one and nothing from outside the folder. Two compilers read it: the run-time compiler of
// a GPU (NVRTC, no header of the toolkit needed), for which the functions are single PTX instructions; and the C++
// compiler of the emulator, which defines the same names (CUDAEmulator/Device.hpp) before it reads a kernel. A kernel
// never depends on which of the two compiles it.

#pragma once

#if defined(__CUDACC__)

/// A kernel for blocks of 256 threads: `KERNEL(name, float *y, int count) { … }`. Its name stands in KernelList.h.
#define KERNEL(name, ...) extern "C" __global__ void __launch_bounds__(BLOCK) name(__VA_ARGS__)
/// The same, with at least `blocks` blocks resident on a multiprocessor at a time: that many threads hide each other's
/// latency, and the compiler limits the registers per thread accordingly.
#define RESIDENT_KERNEL(blocks, name, ...)                                                                             \
  extern "C" __global__ void __launch_bounds__(BLOCK, blocks) name(__VA_ARGS__)
/// An array in shared memory whose size is known at compile time.
#define SHARED_ARRAY(type, name, ...) __shared__ __align__(16) type name __VA_ARGS__
/// The shared memory whose size is given at launch.
#define DYNAMIC_SHARED(type, name)                                                                                     \
  extern __shared__ __align__(16) unsigned char name##Bytes[];                                                         \
  type *const name = reinterpret_cast<type *>(name##Bytes)

/// The address in shared memory as PTX instructions need it.
__device__ __forceinline__ unsigned sharedAddress(const void *pointer) {
  return static_cast<unsigned>(__cvta_generic_to_shared(pointer));
}

/// Two floats rounded to bfloat16 (nearest, ties to even), the first in the low half.
__device__ __forceinline__ unsigned packBF16(float low, float high) {
  unsigned packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
}

/// A float rounded to the 10 mantissa bits that TF32 keeps (nearest, ties away from zero), as its 32 bits.
__device__ __forceinline__ unsigned roundTF32(float value) {
  unsigned rounded;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(rounded) : "f"(value));
  return rounded;
}

/// Four 8 × 8 matrices of 16-bit elements (or 8 × 4 of 32 bits) from shared memory into the fragments of a warp.
///
/// Lane l gives the address of row l mod 8 of matrix l/8: 16 bytes, aligned. It receives in word j the 32 bits at row
/// l/4, column word l mod 4 of matrix j.
__device__ __forceinline__ void loadMatrices(unsigned (&words)[4], const void *row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
               : "r"(sharedAddress(row))
               : "memory");
}

/// d += a·b, with 16 × 16 and 16 × 8 bfloat16 matrices a and b, accumulated in float32.
///
/// With g = lane/4 and t = lane mod 4: a = rows g and g + 8 at k = 2t, 2t + 1, then the same at k + 8; b = column g at
/// k = 2t, 2t + 1 and at k + 8; d = (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1).
__device__ __forceinline__ void multiplyBF16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
               "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// d += a·b, with 16 × 8 and 8 × 8 TF32 matrices a and b, accumulated in float32.
///
/// With g = lane/4 and t = lane mod 4: a = (g, t), (g + 8, t), (g, t + 4), (g + 8, t + 4); b = (t, g), (t + 4, g); d as
/// in `multiplyBF16`.
__device__ __forceinline__ void multiplyTF32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
               "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// Starts copying 16 aligned bytes to shared memory without passing through registers; zeros if not `valid`.
__device__ __forceinline__ void copyAsync(void *shared, const void *source, bool valid) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(sharedAddress(shared)), "l"(source),
               "r"(valid ? 16 : 0)
               : "memory");
}

/// Ends a group of copies.
__device__ __forceinline__ void commitCopies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

/// Waits until at most `pending` of this thread's latest groups of copies are in flight.
template <int pending> __device__ __forceinline__ void awaitCopies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
}

#elif !defined(CUDA_EMULATOR)
#error "on a host, kernels are compiled by the emulator, which includes Device.hpp first"
#endif

/// The mask of all 32 lanes of a warp.
#define ALL_LANES 0xffffffffu

/// +∞ and −∞, which have no literal.
#define INFINITE __int_as_float(0x7f800000)

/// Threads of a block, unless a kernel says otherwise.
#define BLOCK 256

/// The first element of a thread in a grid-stride loop over all elements, and the stride.
#define GRID_FIRST (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x)
#define GRID_STEP (static_cast<long long>(gridDim.x) * blockDim.x)

/// x·σ(x) with σ(x) = 1/(1 + e⁻ˣ).
__device__ __forceinline__ float siluValue(float x) { return x / (1.0f + expf(-x)); }

/// The slope of x·σ(x): σ + x·σ·(1 − σ).
__device__ __forceinline__ float siluSlope(float x) {
  const float sigmoid = 1.0f / (1.0f + expf(-x));
  return sigmoid * (1.0f + x * (1.0f - sigmoid));
}
