// Memory that the ranks of an emulated NCCL communicator share, whether they are processes of this machine or threads
// of one process: what each does, where they wait for one another, and a part for the numbers of each.
//
// Whoever waits learns why nobody comes: a rank that has left, one whose process is gone, or the end of its patience.

#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace cudaemu {

/// What all ranks must agree on in an operation.
struct RankOperation {
  /// The function, as one of the names below.
  uint32_t kind = 0;
  uint32_t type = 0;
  uint32_t reduction = 0;
  uint32_t root = 0;
  uint64_t count = 0;

  bool operator==(const RankOperation &) const = default;
};

/// How waiting ended.
enum class Meeting { complete, late, gone, aborted };

class NCCLRoom {
 public:
  static constexpr unsigned mostRanks = 16;
  /// How many bytes each rank shows the others at once.
  static constexpr size_t chunkBytes = size_t(1) << 18;

  /// How entering ended; only `entered` comes with a room.
  enum class Entrance { entered, badRank, otherCount, sameDevice, late, gone, noMemory };

  /// Waits until all ranks have entered the room with a name.
  ///
  /// `device` identifies the rank's device on this machine; `why` becomes a sentence if a rule is broken.
  static Entrance enter(const std::string &name, unsigned rank, unsigned count, uint32_t device, unsigned patience,
                        std::shared_ptr<NCCLRoom> &room, std::string &why);
  ~NCCLRoom();

  const unsigned rank, count;
  /// Set from any thread, it ends this rank's waiting.
  std::atomic<bool> isAborted{false};

  /// Waits until all ranks have called this as often as this one.
  Meeting meet(unsigned patience);
  /// Stops taking part: others that wait for this rank do so no longer.
  void leave();
  /// The rank that is gone or did not come, after `meet` has said so.
  unsigned missing = 0;

  /// What each rank does, to be read between two meetings.
  RankOperation &operation(unsigned rank);
  /// The part of a rank for its numbers.
  unsigned char *part(unsigned rank);

 private:
  struct Shared;
  Shared *const shared;
  uint64_t meetings = 0;

  NCCLRoom(Shared *shared, unsigned rank, unsigned count) : rank(rank), count(count), shared(shared) {}
};

}  // namespace cudaemu
