// What Swift has no name for: one instruction, and how wide the vectors are that the code is compiled for.

#pragma once

/// Asks for the cache line at an address to be fetched, and goes on without it.
static inline __attribute__((always_inline)) void prefetch(const void *_Nonnull address) {
  __builtin_prefetch(address, 0, 2);
}

/// Whether there are 32 vector registers of 512 bits.
#if defined(__AVX512F__)
#define HAS_512_BIT_VECTORS 1
#else
#define HAS_512_BIT_VECTORS 0
#endif
