// The emulated machine's shared state: the threads of the running block, where they wait for one another, and the
// values they exchange.
//
// One thread of the process runs one block at a time. Its fibers take turns: a fiber runs until it waits for others, so
// nothing interrupts it between two waits, and no lock is needed within a block.

#pragma once
#include <cstddef>
#include <cstring>

namespace cudaemu {

/// Three extents or coordinates, such as CUDA's dim3 and uint3.
struct Triple {
  unsigned x, y, z;
};

/// A pending copy of 16 bytes to shared memory.
struct PendingCopy {
  void *destination;
  const void *source;
  bool valid;
};

/// The asynchronous copies that a thread has issued and not yet waited for, oldest first.
struct CopyQueue {
  static constexpr unsigned capacity = 64;
  static constexpr unsigned groupCapacity = 8;
  PendingCopy copies[capacity];
  unsigned count;
  /// For each committed group, how many copies were issued up to its end.
  unsigned groupEnds[groupCapacity];
  unsigned groups;
};

/// Where the lanes of a warp synchronize and exchange values.
struct Warp {
  /// How often all 32 lanes have synchronized.
  unsigned meetings;
  unsigned arrived;
  /// The messages of even and of odd synchronizations: while one set is read, a fast lane may already write the other.
  alignas(16) unsigned char messages[2][32][32];
};

/// A thread of the block.
struct Thread {
  Triple index;
  unsigned lane;
  Warp *warp;
  void *stackPointer;
  /// The counter that must change from `awaitedValue` before this thread can continue, or null.
  const unsigned *awaited;
  unsigned awaitedValue;
  /// What it is waiting at, for deadlock reports.
  const char *place;
  bool finished;
  CopyQueue queue;
};

/// A running block.
struct Block {
  unsigned threadCount;
  /// How often all threads have passed a barrier.
  unsigned meetings;
  unsigned arrived;
  unsigned char *dynamicShared;
  /// A unique number per block: shared memory with a different number is stale.
  unsigned long long serial;
  /// Whether asynchronous copies are performed immediately instead of as late as allowed.
  bool copiesAtOnce;
};

extern thread_local Thread *currentThread;
extern thread_local Block *currentBlock;
extern thread_local Triple blockIndex, blockExtent, gridExtent;

/// Lets other threads run until a counter has changed from a value.
void wait(const unsigned *counter, unsigned value, const char *place);
/// Ends the launch with a message.
[[noreturn]] void fail(const char *message);

/// An array in shared memory. It is filled with NaN when a block first touches it, so that nothing is left over from
/// the previous block.
template <class Array> struct Shared {
  alignas(16) Array values;
  unsigned long long serial;

  Array &touch() {
    if (serial != currentBlock->serial) {
      serial = currentBlock->serial;
      std::memset(&values, 0xff, sizeof values);
    }
    return values;
  }
};

/// Synchronizes all threads of the block.
inline void meetBlock() {
  Block &block = *currentBlock;
  const unsigned meeting = block.meetings;
  if (++block.arrived == block.threadCount) {
    block.arrived = 0;
    block.meetings = meeting + 1;
  } else {
    wait(&block.meetings, meeting, "__syncthreads");
  }
}

/// The messages of a warp's lanes at a synchronization.
template <class Message> struct Messages {
  const unsigned char (*bytes)[32];

  Message operator[](unsigned lane) const {
    Message message;
    std::memcpy(&message, bytes[lane], sizeof(Message));
    return message;
  }
};

/// Synchronizes all lanes of the warp; each leaves a message and sees those of all.
template <class Message> inline Messages<Message> meetWarp(const Message &message, const char *place) {
  static_assert(sizeof(Message) <= 32, "a lane leaves at most 32 bytes");
  Warp &warp = *currentThread->warp;
  const unsigned meeting = warp.meetings;
  std::memcpy(warp.messages[meeting & 1][currentThread->lane], &message, sizeof(Message));
  if (++warp.arrived == 32) {
    warp.arrived = 0;
    warp.meetings = meeting + 1;
  } else {
    wait(&warp.meetings, meeting, place);
  }
  return {warp.messages[meeting & 1]};
}

/// The outcome of a launch.
enum class Outcome { success, badShape, failed };

/// A kernel's function with its parameters unpacked from an array of pointers to them.
using Thunk = void (*)(void *const *parameters);

/// Runs all blocks of a grid; on failure, `message` says why.
Outcome run(Thunk kernel, Triple grid, Triple block, unsigned sharedBytes, void *const *parameters, unsigned schedule,
            unsigned hostThreads, char *message, size_t messageCapacity);

}  // namespace cudaemu
