// The one instruction that Swift has no name for.

#pragma once

/// Asks for the cache line at an address to be fetched, and goes on without it.
static inline __attribute__((always_inline)) void prefetch(const void *_Nonnull address) {
  __builtin_prefetch(address, 0, 2);
}
