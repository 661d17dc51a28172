// Running a grid: the blocks one after another (or shared among threads of the process), and within a block the fibers
// in an order that the schedule determines.

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "Fiber.hpp"
#include "Machine.hpp"

namespace cudaemu {

thread_local Thread *currentThread;
thread_local Block *currentBlock;
thread_local Triple blockIndex, blockExtent, gridExtent;

/// The stack of the scheduler of this thread of the process, while a fiber runs.
static thread_local void *schedulerStack;
static thread_local Thunk runningKernel;
static thread_local void *const *runningParameters;
static thread_local const char *failure;

void wait(const unsigned *counter, unsigned value, const char *place) {
  Thread *thread = currentThread;
  thread->awaited = counter;
  thread->awaitedValue = value;
  thread->place = place;
  cudaemu_switch(&thread->stackPointer, schedulerStack);
}

/// For a function that never returns, an address sanitizer looks up the limits of the stack, which it would get wrong
/// on a fiber; these two functions are therefore not instrumented.
#define UNSANITIZED __attribute__((no_sanitize_address))

[[noreturn]] UNSANITIZED static void leave() {
  Thread *thread = currentThread;
  thread->finished = true;
  cudaemu_switch(&thread->stackPointer, schedulerStack);
  __builtin_unreachable();
}

void fail(const char *message) {
  failure = message;
  leave();
}

/// The first function on every fiber's stack.
UNSANITIZED static void enter() {
  runningKernel(runningParameters);
  leave();
}

namespace {

/// Threads with their stacks, kept across launches.
class ThreadPool {
 public:
  ~ThreadPool() { release(); }

  /// Reserves threads for a block of that size.
  void reserve(unsigned count) {
    if (count <= threads.size()) return;
    release();
    threads.resize(count);
    void *memory = mmap(nullptr, count * stackBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    stacks = static_cast<unsigned char *>(memory);
  }

  Thread &operator[](unsigned i) { return threads[i]; }
  void *stackTop(unsigned i) { return stacks + (i + 1) * stackBytes; }

 private:
  /// Not a power of two: the tops of all stacks, which are always in use, would share a few sets of the cache.
  static constexpr size_t stackBytes = (128 << 10) + 5 * 64;
  std::vector<Thread> threads;
  unsigned char *stacks = nullptr;

  void release() {
    if (stacks) munmap(stacks, threads.size() * stackBytes);
    stacks = nullptr;
  }
};

/// The order in which the threads of a block take turns.
struct TurnOrder {
  std::vector<unsigned> threads;
  /// How many consecutive threads in that order run as far as they can before the next ones run.
  unsigned companions;

  TurnOrder(unsigned count, unsigned schedule) : threads(count), companions(count) {
    const bool wholeWarps = schedule % 4 >= 2;
    for (unsigned i = 0; i < count; ++i) threads[i] = schedule == 1 ? count - 1 - i : i;
    if (schedule >= 2) {
      const unsigned run = wholeWarps ? 32 : 1;
      unsigned long long state = schedule * 0x9E3779B97F4A7C15ull;
      for (unsigned i = count / run - 1; i > 0; --i) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        const unsigned other = static_cast<unsigned>((state >> 33) % (i + 1));
        std::swap_ranges(threads.begin() + i * run, threads.begin() + (i + 1) * run, threads.begin() + other * run);
      }
    }
    if (wholeWarps) companions = 32;
  }
};

/// A grid being run by one or more threads of the process.
struct Grid {
  Thunk kernel;
  Triple grid, block;
  unsigned sharedBytes;
  void *const *parameters;
  unsigned schedule;

  std::atomic<size_t> nextBlock{0};
  std::atomic<bool> hasFailed{false};
  std::mutex lock{};
  std::string message{};

  size_t blocks() const { return static_cast<size_t>(grid.x) * grid.y * grid.z; }
  unsigned threads() const { return block.x * block.y * block.z; }

  void report(const std::string &why) {
    std::lock_guard<std::mutex> guard(lock);
    if (!hasFailed.exchange(true)) message = why;
  }
};

std::string blockName() {
  return "block (" + std::to_string(blockIndex.x) + ", " + std::to_string(blockIndex.y) + ", " +
         std::to_string(blockIndex.z) + ")";
}

/// Runs one block to completion; false, with a report, if it cannot complete.
bool runBlock(Grid &grid, ThreadPool &pool, std::vector<Warp> &warps, Block &block, const TurnOrder &order) {
  const unsigned count = block.threadCount;
  currentBlock = &block;
  for (Warp &warp : warps) warp.meetings = warp.arrived = 0;
  for (unsigned i = 0; i < count; ++i) {
    Thread &thread = pool[i];
    thread.index = {i % blockExtent.x, i / blockExtent.x % blockExtent.y, i / (blockExtent.x * blockExtent.y)};
    thread.lane = i % 32;
    thread.warp = &warps[i / 32];
    thread.awaited = nullptr;
    thread.place = "its start";
    thread.finished = false;
    thread.queue.count = thread.queue.groups = 0;
    thread.stackPointer = prepareStack(pool.stackTop(i), enter);
  }
  unsigned unfinished = count;
  while (unfinished > 0) {
    bool anyMoved = false;
    for (unsigned first = 0; first < count; first += order.companions) {
      bool again = true;
      while (again) {
        again = false;
        for (unsigned turn = first; turn < first + order.companions; ++turn) {
          Thread &thread = pool[order.threads[turn]];
          if (thread.finished || (thread.awaited && *thread.awaited == thread.awaitedValue)) continue;
          thread.awaited = nullptr;
          currentThread = &thread;
          cudaemu_switch(&schedulerStack, thread.stackPointer);
          if (failure) {
            grid.report(std::string(failure) + " in thread " + std::to_string(order.threads[turn]) + " of " +
                        blockName());
            failure = nullptr;
            return false;
          }
          if (thread.finished) --unfinished;
          anyMoved = true;
          again = order.companions < count;
        }
      }
    }
    if (!anyMoved) {
      // No thread can continue: name the places where they wait, one thread for each.
      std::string why = "deadlock in " + blockName() + ":";
      const char *lastPlace = nullptr;
      for (unsigned i = 0; i < count; ++i) {
        if (pool[i].finished || (lastPlace && !strcmp(pool[i].place, lastPlace))) continue;
        lastPlace = pool[i].place;
        why += " thread " + std::to_string(i) + " waits at " + lastPlace + ";";
        if (why.size() > 300) break;
      }
      grid.report(why + " " + std::to_string(count - unfinished) + " threads have ended");
      return false;
    }
  }
  return true;
}

/// Takes blocks of the grid until there are none left.
void runBlocks(Grid &grid) {
  static thread_local ThreadPool pool;
  static std::atomic<unsigned long long> serials{0};
  const unsigned count = grid.threads();
  pool.reserve(count);
  std::vector<Warp> warps(count / 32);
  const TurnOrder order(count, grid.schedule);
  // Exactly as long as requested, so that an address sanitizer sees an access past the end.
  unsigned char *shared = new (std::align_val_t(128)) unsigned char[grid.sharedBytes + (grid.sharedBytes == 0)];
  blockExtent = grid.block;
  gridExtent = grid.grid;
  runningKernel = grid.kernel;
  runningParameters = grid.parameters;
  for (size_t i; !grid.hasFailed && (i = grid.nextBlock++) < grid.blocks();) {
    blockIndex = {static_cast<unsigned>(i % grid.grid.x), static_cast<unsigned>(i / grid.grid.x % grid.grid.y),
                  static_cast<unsigned>(i / grid.grid.x / grid.grid.y)};
    std::memset(shared, 0xff, grid.sharedBytes);
    Block block{count, 0, 0, shared, ++serials, grid.schedule % 2 == 1};
    if (!runBlock(grid, pool, warps, block, order)) break;
  }
  operator delete[](shared, std::align_val_t(128));
}

}  // namespace

Outcome run(Thunk kernel, Triple grid, Triple block, unsigned sharedBytes, void *const *parameters, unsigned schedule,
            unsigned hostThreads, char *message, size_t messageCapacity) {
  Grid work{kernel, grid, block, sharedBytes, parameters, schedule};
  const bool blockFits = block.x > 0 && block.y > 0 && block.z > 0 && block.x <= 1024 && block.y <= 1024 &&
                         block.z <= 64 && work.threads() <= 1024 && work.threads() % 32 == 0;
  const bool gridFits = grid.x > 0 && grid.y > 0 && grid.z > 0 && grid.x < (1u << 31) && grid.y < (1u << 16) &&
                        grid.z < (1u << 16);
  if (!blockFits || !gridFits) {
    snprintf(message, messageCapacity,
             "a grid of %u × %u × %u blocks of %u × %u × %u threads: a block has a multiple of 32 threads, at most "
             "1024, and a grid at most 2³¹ − 1, 65535 and 65535 blocks",
             grid.x, grid.y, grid.z, block.x, block.y, block.z);
    return Outcome::badShape;
  }
  const size_t helpers = std::min<size_t>(hostThreads > 1 ? hostThreads - 1 : 0, work.blocks() / 2);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < helpers; ++i) threads.emplace_back([&work] { runBlocks(work); });
  runBlocks(work);
  for (std::thread &thread : threads) thread.join();
  if (!work.hasFailed) return Outcome::success;
  snprintf(message, messageCapacity, "%s", work.message.c_str());
  return Outcome::failed;
}

}  // namespace cudaemu
