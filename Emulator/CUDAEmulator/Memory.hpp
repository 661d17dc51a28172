// Device memory: memory of this process, with a fence around every allocation.

#pragma once
#include <cstddef>
#include <string>

namespace cudaemu {

/// New memory filled with NaN, or null.
void *allocate(size_t bytes);
/// Frees memory; false if it is not the start of an allocation.
bool release(void *memory);
/// Whether a whole range is inside one allocation.
bool isInside(const void *start, size_t bytes);
/// A message about the first allocation whose fence was overwritten, or an empty string.
std::string findDamage();

}  // namespace cudaemu
