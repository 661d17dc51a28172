#include "NCCLRoom.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>

namespace cudaemu {

namespace {

/// Where a rank is.
enum Place : uint32_t { outside = 0, inside = 1, left = 2 };

/// Shared memory begins as zeros, which is the first value of everything.
struct Rank {
  std::atomic<uint32_t> place;
  std::atomic<uint32_t> process;
  std::atomic<uint32_t> device;
  /// How many meetings it has come to.
  std::atomic<uint64_t> meetings;
  RankOperation operation;
};

using Clock = std::chrono::steady_clock;

/// Calls `isDone` until it returns true; false at the end of the patience.
template <class Question> bool wait(Clock::time_point end, const Question &isDone) {
  for (unsigned tries = 0; !isDone(); ++tries) {
    if (tries < 200) {
      std::this_thread::yield();
      continue;
    }
    if (Clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(tries < 2000 ? 20 : 200));
  }
  return true;
}

bool isRunning(uint32_t process) { return kill(static_cast<pid_t>(process), 0) == 0 || errno != ESRCH; }

}  // namespace

struct NCCLRoom::Shared {
  /// How many ranks the first that came speaks of.
  std::atomic<uint32_t> count;
  /// Whether another spoke of another number.
  std::atomic<uint32_t> isMismatched;
  Rank ranks[mostRanks];
  alignas(4096) unsigned char parts[mostRanks][chunkBytes];
};

RankOperation &NCCLRoom::operation(unsigned rank) { return shared->ranks[rank].operation; }
unsigned char *NCCLRoom::part(unsigned rank) { return shared->parts[rank]; }

NCCLRoom::Entrance NCCLRoom::enter(const std::string &name, unsigned rank, unsigned count, uint32_t device,
                                   unsigned patience, std::shared_ptr<NCCLRoom> &room, std::string &why) {
  if (count == 0 || count > mostRanks || rank >= count) {
    why = "rank " + std::to_string(rank) + " of " + std::to_string(count) + ": the emulator has room for " +
          std::to_string(mostRanks);
    return Entrance::badRank;
  }
  const auto end = Clock::now() + std::chrono::milliseconds(patience);
  // Whoever comes first makes the memory, and the others wait until it has its size.
  int file = shm_open(name.c_str(), O_CREAT | O_EXCL | O_RDWR, 0600);
  const bool isFirst = file >= 0;
  if (!isFirst) file = shm_open(name.c_str(), O_RDWR, 0600);
  if (file < 0 || (isFirst && ftruncate(file, sizeof(Shared)) != 0)) {
    why = "no shared memory " + name;
    if (file >= 0) close(file);
    return Entrance::noMemory;
  }
  struct stat status;
  const bool hasSize = wait(end, [&] {
    return fstat(file, &status) == 0 && status.st_size >= static_cast<off_t>(sizeof(Shared));
  });
  void *memory = hasSize ? mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) : MAP_FAILED;
  close(file);
  if (memory == MAP_FAILED) {
    why = "no shared memory " + name;
    return Entrance::noMemory;
  }
  Shared *const shared = static_cast<Shared *>(memory);
  const std::shared_ptr<NCCLRoom> own(new NCCLRoom(shared, rank, count));
  uint32_t expected = 0;
  if (!shared->count.compare_exchange_strong(expected, count) && expected != count) {
    shared->isMismatched = 1;
    why = "a rank of " + std::to_string(count) + " where others are of " + std::to_string(expected);
    return Entrance::otherCount;
  }
  Rank &self = shared->ranks[rank];
  expected = outside;
  if (!self.place.compare_exchange_strong(expected, inside)) {
    why = "there are two ranks " + std::to_string(rank);
    own->missing = rank;
    return Entrance::badRank;
  }
  self.device = device;
  self.process = static_cast<uint32_t>(getpid());
  const Meeting meeting = own->meet(patience);
  // Everyone has the memory, or nobody will: its name is no longer needed.
  shm_unlink(name.c_str());
  if (meeting != Meeting::complete) {
    own->leave();
    if (shared->isMismatched) {
      why = "ranks that differ in their number";
      return Entrance::otherCount;
    }
    why = "rank " + std::to_string(own->missing) + (meeting == Meeting::late ? " did not come" : " is gone");
    return meeting == Meeting::late ? Entrance::late : Entrance::gone;
  }
  for (unsigned other = 0; other < count; ++other) {
    for (unsigned later = other + 1; later < count; ++later) {
      if (shared->ranks[other].device != shared->ranks[later].device) continue;
      why = "Duplicate GPU detected : rank " + std::to_string(other) + " and rank " + std::to_string(later) +
            " both on CUDA device " + std::to_string(shared->ranks[other].device);
      return Entrance::sameDevice;
    }
  }
  room = own;
  return Entrance::entered;
}

NCCLRoom::~NCCLRoom() { munmap(shared, sizeof(Shared)); }

Meeting NCCLRoom::meet(unsigned patience) {
  const auto end = Clock::now() + std::chrono::milliseconds(patience);
  ++meetings;
  shared->ranks[rank].meetings = meetings;
  for (unsigned other = 0; other < count; ++other) {
    Rank &their = shared->ranks[other];
    Meeting result = Meeting::complete;
    unsigned asked = 0;
    const bool isDone = wait(end, [&] {
      if (their.meetings >= meetings) return true;
      if (isAborted) {
        result = Meeting::aborted;
      } else if (their.place == left || shared->isMismatched ||
                 (++asked % 256 == 0 && their.place == inside && !isRunning(their.process))) {
        // It may have come before it left.
        if (their.meetings < meetings) result = Meeting::gone;
      }
      return result != Meeting::complete;
    });
    if (!isDone) result = Meeting::late;
    if (result != Meeting::complete) {
      missing = other;
      return result;
    }
  }
  return Meeting::complete;
}

void NCCLRoom::leave() { shared->ranks[rank].place = left; }

}  // namespace cudaemu
