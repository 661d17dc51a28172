// What Swift has no name for: one instruction, and how wide the vectors are that the code is compiled for.

#pragma once

/// Asks for the cache line at an address to be fetched, and goes on without it.
static inline __attribute__((always_inline)) void prefetch(const void *_Nonnull address) {
  __builtin_prefetch(address, 0, 2);
}

/// Bits of a vector register; there are 32 of them where it is 512.
#if defined(__AVX512F__)
#define VECTOR_BITS 512
#else
#define VECTOR_BITS 256
#endif
