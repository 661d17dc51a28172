// Device memory, which is memory of this process with a fence around every allocation.

#pragma once
#include <cstddef>
#include <string>

namespace cudaemu {

/// New memory full of NaN, or null.
void *allocate(size_t bytes);
/// Frees memory; false if it is not the start of an allocation.
bool release(void *memory);
/// Whether all of a range lies inside one allocation.
bool isInside(const void *start, size_t bytes);
/// A sentence about the first allocation that something was written next to, or nothing.
std::string findDamage();

}  // namespace cudaemu
