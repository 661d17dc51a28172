// What Swift cannot express: two instructions, and the vector width that the code is compiled for.

#pragma once

/// Requests the cache line at an address without waiting for it.
static inline __attribute__((always_inline)) void prefetch(const void *_Nonnull address) {
  __builtin_prefetch(address, 0, 2);
}

/// Pauses the processor briefly in a loop that waits for another thread.
static inline __attribute__((always_inline)) void relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb");
#endif
}

/// Whether there are 32 vector registers of 512 bits.
#if defined(__AVX512F__)
#define HAS_512_BIT_VECTORS 1
#else
#define HAS_512_BIT_VECTORS 0
#endif
