// Each kernel has the one mistake that its comment names, and otherwise resembles `reverse…` and the other kernels
// without a mistake. Unless a comment says otherwise: y and x have as many elements as the grid has threads; block 256.

#include "FaultyKernels.h"

#include <iterator>

#include "Kernels/Prelude.hpp"

/// All kernels.
#define FAULTY_KERNELS(EACH)                                                                     \
  EACH(reverse) EACH(reverseWithoutBarrier) EACH(reverseTwice)                                   \
  EACH(reverseTwiceWithoutSecondBarrier) EACH(barrierForSome) EACH(barrierBesideShuffle)         \
  EACH(writesBehind) EACH(writesBefore) EACH(readsBehind) EACH(copiesOneMore) EACH(copies)       \
  EACH(sharedOfAnotherBlock) EACH(dynamicSharedOfAnotherBlock) EACH(reverseCopied)               \
  EACH(reverseCopiedWithoutWait) EACH(copiedTooEarly) EACH(copyNotAligned) EACH(rowsNotAligned)  \
  EACH(shuffleOfHalf)

namespace {

KERNELS_OF_FILE(FAULTY_KERNELS)

const int threads = BLOCK;

__device__ long long place() { return static_cast<long long>(blockIdx.x) * threads + threadIdx.x; }

// MARK: Barriers

/// No mistake: each block reverses its part of x.
KERNEL(reverse, float *y, const float *x) {
  SHARED_ARRAY(float, part, [BLOCK]);
  part[threadIdx.x] = x[place()];
  __syncthreads();
  y[place()] = part[threads - 1 - threadIdx.x];
}

/// The barrier between writing and reading is missing.
KERNEL(reverseWithoutBarrier, float *y, const float *x) {
  SHARED_ARRAY(float, part, [BLOCK]);
  part[threadIdx.x] = x[place()];
  y[place()] = part[threads - 1 - threadIdx.x];
}

/// No mistake: a block reverses two parts, one after the other. y and x have twice as many elements as there are
/// threads.
KERNEL(reverseTwice, float *y, const float *x) {
  SHARED_ARRAY(float, part, [BLOCK]);
  for (int first = 0; first < 2 * threads; first += threads) {
    part[threadIdx.x] = x[first + threadIdx.x];
    __syncthreads();
    y[first + threadIdx.x] = part[threads - 1 - threadIdx.x];
    __syncthreads();
  }
}

/// The barrier between reading a part and writing the next is missing.
KERNEL(reverseTwiceWithoutSecondBarrier, float *y, const float *x) {
  SHARED_ARRAY(float, part, [BLOCK]);
  for (int first = 0; first < 2 * threads; first += threads) {
    part[threadIdx.x] = x[first + threadIdx.x];
    __syncthreads();
    y[first + threadIdx.x] = part[threads - 1 - threadIdx.x];
  }
}

/// Only some threads reach the barrier.
KERNEL(barrierForSome, float *y, const float *x) {
  if (threadIdx.x < 100) __syncthreads();
  y[place()] = x[place()];
}

/// Some threads of a warp wait for the block while the others exchange values.
KERNEL(barrierBesideShuffle, float *y, const float *x) {
  if (threadIdx.x % 32 < 16) {
    __syncthreads();
    y[place()] = x[place()];
  } else {
    y[place()] = __shfl_xor_sync(ALL_LANES, x[place()], 1);
  }
}

// MARK: Memory

/// Writes one element past the end of y.
KERNEL(writesBehind, float *y, long long count) {
  for (long long i = GRID_FIRST; i <= count; i += GRID_STEP) y[i] = 1;
}

/// Writes the element before y.
KERNEL(writesBefore, float *y, long long count) {
  for (long long i = GRID_FIRST; i < count; i += GRID_STEP) y[i - 1] = 1;
}

/// Reads one element past the end of x.
KERNEL(readsBehind, float *y, const float *x, long long count) {
  for (long long i = GRID_FIRST; i < count; i += GRID_STEP) y[i] = x[i + 1];
}

/// Copies one element too many, from past the end of x to past the end of y.
KERNEL(copiesOneMore, float *y, const float *x, long long count) {
  for (long long i = GRID_FIRST; i <= count; i += GRID_STEP) y[i] = x[i];
}

/// No mistake of its own: copies x.
KERNEL(copies, float *y, const float *x, long long count) {
  for (long long i = GRID_FIRST; i < count; i += GRID_STEP) y[i] = x[i];
}

/// Only the first block writes the shared values that all blocks read.
KERNEL(sharedOfAnotherBlock, float *y, const float *x) {
  SHARED_ARRAY(float, part, [BLOCK]);
  if (blockIdx.x == 0) part[threadIdx.x] = x[place()];
  __syncthreads();
  y[place()] = part[threadIdx.x];
}

/// The same with shared memory whose size is given at launch.
KERNEL(dynamicSharedOfAnotherBlock, float *y, const float *x) {
  DYNAMIC_SHARED(float, part);
  if (blockIdx.x == 0) part[threadIdx.x] = x[place()];
  __syncthreads();
  y[place()] = part[threadIdx.x];
}

// MARK: Asynchronous copies: 64 threads copy 16 bytes each

/// No mistake: as `reverse`, with a copy that does not pass through registers.
KERNEL(reverseCopied, float *y, const float *x) {
  SHARED_ARRAY(float, part, [BLOCK]);
  if (threadIdx.x < 64) copyAsync(&part[4 * threadIdx.x], x + blockIdx.x * threads + 4 * threadIdx.x, true);
  commitCopies();
  awaitCopies<0>();
  __syncthreads();
  y[place()] = part[threads - 1 - threadIdx.x];
}

/// The copies are never waited for.
KERNEL(reverseCopiedWithoutWait, float *y, const float *x) {
  SHARED_ARRAY(float, part, [BLOCK]);
  if (threadIdx.x < 64) copyAsync(&part[4 * threadIdx.x], x + blockIdx.x * threads + 4 * threadIdx.x, true);
  commitCopies();
  __syncthreads();
  y[place()] = part[threads - 1 - threadIdx.x];
}

/// The next copies start before all threads have read the values that they replace. y and x have twice as many elements
/// as there are threads.
KERNEL(copiedTooEarly, float *y, const float *x) {
  SHARED_ARRAY(float, part, [BLOCK]);
  part[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  if (threadIdx.x < 64) copyAsync(&part[4 * threadIdx.x], x + threads + 4 * threadIdx.x, true);
  commitCopies();
  y[threadIdx.x] = part[threads - 1 - threadIdx.x];
  __syncthreads();
  awaitCopies<0>();
  __syncthreads();
  y[threads + threadIdx.x] = part[threads - 1 - threadIdx.x];
}

/// The offset in shared memory is not a multiple of 16 bytes.
KERNEL(copyNotAligned, float *y, const float *x) {
  SHARED_ARRAY(float, part, [BLOCK + 4]);
  copyAsync(&part[threadIdx.x + 1], x, true);
  commitCopies();
  awaitCopies<0>();
  y[place()] = part[threadIdx.x];
}

// MARK: Warps

/// Matrix rows whose distance is not a multiple of 16 bytes.
KERNEL(rowsNotAligned, float *y) {
  SHARED_ARRAY(unsigned, rows, [32][5]);
  unsigned words[4];
  for (unsigned i = 0; i < 5; ++i) rows[threadIdx.x % 32][i] = i;
  __syncthreads();
  loadMatrices(words, rows[threadIdx.x % 32]);
  y[place()] = static_cast<float>(words[0]);
}

/// An exchange within half a warp.
KERNEL(shuffleOfHalf, float *y, const float *x) { y[place()] = __shfl_xor_sync(0xffffu, x[place()], 1); }

const cudaemu::Kernel kernels[] = KERNEL_TABLE(FAULTY_KERNELS);
const cudaemu::KernelFile file{"Faulty.cu", kernels, std::size(kernels)};

}  // namespace

void faulty_kernels_add(void) {
  static const bool once = (cudaemu::addKernelFile(file), true);
  static_cast<void>(once);
}
