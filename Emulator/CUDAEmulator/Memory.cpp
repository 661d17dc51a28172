#include "Memory.hpp"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "CUDAEmulator.h"
#include "Registry.hpp"

namespace cudaemu {

namespace {

/// The bytes before and after an allocation. They are huge values in every number type, so reading them shows up in the
/// results; writing them is detected after each launch. Each allocation has a different value in its fence, so that
/// copying one fence to another is detected too. An address sanitizer reports either immediately, so with it there is
/// no fence after the allocation, where most stray accesses occur: the sanitizer's own begins at the first byte.
constexpr size_t fence = 256;
#if defined(__SANITIZE_ADDRESS__)
constexpr size_t fenceBehind = 0;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
constexpr size_t fenceBehind = 0;
#else
constexpr size_t fenceBehind = fence;
#endif
#else
constexpr size_t fenceBehind = fence;
#endif
/// What new memory is filled with: NaN in every number type.
constexpr unsigned char poison = 0xff;

/// An allocation.
struct Extent {
  size_t bytes;
  unsigned char fenceValue;
};

struct Ledger {
  std::mutex lock;
  /// Every allocation by its start.
  std::map<uintptr_t, Extent> live;
  size_t bytes = 0;
  unsigned char nextFenceValue = 0;
};

Ledger &ledger() {
  static Ledger *shared = new Ledger;  // Never destroyed: memory may be freed while the process exits.
  return *shared;
}

bool isWhole(const unsigned char *start, size_t count, unsigned char value) {
  for (size_t i = 0; i < count; ++i) {
    if (start[i] != value) return false;
  }
  return true;
}

/// The allocation that contains an address, or the end. The lock must be held.
std::map<uintptr_t, Extent>::iterator holder(Ledger &ledger, uintptr_t address) {
  auto next = ledger.live.upper_bound(address);
  if (next == ledger.live.begin()) return ledger.live.end();
  --next;
  return address - next->first <= next->second.bytes ? next : ledger.live.end();
}

}  // namespace

void *allocate(size_t bytes) {
  void *block = nullptr;
  if (bytes > SIZE_MAX - 2 * fence || posix_memalign(&block, 256, fence + bytes + fenceBehind)) return nullptr;
  unsigned char *memory = static_cast<unsigned char *>(block) + fence;
  Ledger &all = ledger();
  std::lock_guard<std::mutex> guard(all.lock);
  const unsigned char fenceValue = 0x70 + all.nextFenceValue++ % 15;
  std::memset(memory - fence, fenceValue, fence);
  std::memset(memory, poison, bytes);
  std::memset(memory + bytes, fenceValue, fenceBehind);
  all.live[reinterpret_cast<uintptr_t>(memory)] = {bytes, fenceValue};
  all.bytes += bytes;
  return memory;
}

bool release(void *memory) {
  if (!memory) return true;
  Ledger &all = ledger();
  {
    std::lock_guard<std::mutex> guard(all.lock);
    const auto found = all.live.find(reinterpret_cast<uintptr_t>(memory));
    if (found == all.live.end()) return false;
    all.bytes -= found->second.bytes;
    all.live.erase(found);
  }
  std::free(static_cast<unsigned char *>(memory) - fence);
  return true;
}

bool isInside(const void *start, size_t bytes) {
  Ledger &all = ledger();
  std::lock_guard<std::mutex> guard(all.lock);
  const uintptr_t address = reinterpret_cast<uintptr_t>(start);
  const auto found = holder(all, address);
  return found != all.live.end() && bytes <= found->second.bytes - (address - found->first);
}

bool isDeviceMemory(const void *pointer) { return !pointer || isInside(pointer, 0); }

std::string findDamage() {
  Ledger &all = ledger();
  std::lock_guard<std::mutex> guard(all.lock);
  for (const auto &[start, extent] : all.live) {
    const auto [bytes, fenceValue] = extent;
    unsigned char *memory = reinterpret_cast<unsigned char *>(start);
    const bool before = !isWhole(memory - fence, fence, fenceValue);
    if (!before && isWhole(memory + bytes, fenceBehind, fenceValue)) continue;
    // Reported only once: the fence is restored.
    std::memset(memory - fence, fenceValue, fence);
    std::memset(memory + bytes, fenceValue, fenceBehind);
    return "something was written " + std::string(before ? "before" : "behind") + " an allocation of " +
           std::to_string(bytes) + " bytes";
  }
  return "";
}

}  // namespace cudaemu

size_t cudaemu_live_allocations(void) {
  cudaemu::Ledger &all = cudaemu::ledger();
  std::lock_guard<std::mutex> guard(all.lock);
  return all.live.size();
}

size_t cudaemu_live_bytes(void) {
  cudaemu::Ledger &all = cudaemu::ledger();
  std::lock_guard<std::mutex> guard(all.lock);
  return all.bytes;
}
