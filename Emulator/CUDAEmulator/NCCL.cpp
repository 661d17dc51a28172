// The functions of NCCL that the engine uses, with the library's own signatures and status codes, between processes of
// this machine or threads of one.
//
// Sums are in the order of ranks. A caller's mistakes that the library does not notice, such as counts that differ
// between ranks, for which it would wait for ever, are errors here. An operation is work of its stream: captured, it
// takes place when the graph is launched.

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "CUDAEmulator.h"
#include "Graphs.hpp"
#include "Library.hpp"
#include "Memory.hpp"
#include "NCCLRoom.hpp"

using cudaemu::Meeting;
using cudaemu::NCCLRoom;
using cudaemu::RankOperation;

namespace {

/// ncclResult_t.
enum Result : int {
  success = 0,
  unhandledCUDAError = 1,
  systemError = 2,
  invalidArgument = 4,
  invalidUsage = 5,
  remoteError = 6,
};

const cudaemu::StatusName resultNames[] = {
    {success, "ncclSuccess", "no error"},
    {unhandledCUDAError, "ncclUnhandledCudaError", "unhandled cuda error"},
    {systemError, "ncclSystemError", "unhandled system error"},
    {invalidArgument, "ncclInvalidArgument", "invalid argument"},
    {invalidUsage, "ncclInvalidUsage", "invalid usage"},
    {remoteError, "ncclRemoteError", "remote process exited or there was a network error"},
};

/// ncclDataType_t.
enum NumberType : uint32_t { int8 = 0, uint8 = 1, int32 = 2, int64 = 4, float32 = 7, float64 = 8 };

/// The functions, as ranks name them to one another.
enum Kind : uint32_t { allReduce = 1, reduceScatter, allGather, broadcast };
const char *const kindNames[] = {"", "ncclAllReduce", "ncclReduceScatter", "ncclAllGather", "ncclBroadcast"};

/// ncclUniqueId: the name of a room.
struct UniqueId {
  char internal[128];
};

/// A communicator, which outlives its handle as long as work refers to it.
struct Communicator {
  std::shared_ptr<NCCLRoom> room;
  std::atomic<int> failure{success};
  std::atomic<bool> isOpen{true};
};

std::mutex lock;
std::map<void *, std::shared_ptr<Communicator>> &communicators =
    *new std::map<void *, std::shared_ptr<Communicator>>;
std::string &lastMessage = *new std::string;
std::atomic<size_t> operations{0};
std::atomic<unsigned> patience{0};

unsigned currentPatience() {
  if (const unsigned set = patience) return set;
  const char *const variable = std::getenv("CUDA_EMULATOR_NCCL_TIMEOUT");
  const int named = variable ? std::atoi(variable) : 0;
  return named > 0 ? static_cast<unsigned>(named) : 600000;
}

/// Operations between ncclGroupStart and the last ncclGroupEnd of this thread.
thread_local int groupDepth = 0;
thread_local std::vector<std::function<int()>> grouped;

Result refuse(Result result, const std::string &why) {
  cudaemu::explain("NCCL: " + why);
  std::lock_guard<std::mutex> guard(lock);
  lastMessage = why;
  return result;
}

std::shared_ptr<Communicator> find(void *handle) {
  std::lock_guard<std::mutex> guard(lock);
  const auto found = communicators.find(handle);
  return found == communicators.end() ? nullptr : found->second;
}

std::shared_ptr<Communicator> remove(void *handle) {
  const std::shared_ptr<Communicator> found = find(handle);
  std::lock_guard<std::mutex> guard(lock);
  communicators.erase(handle);
  return found;
}

size_t bytesOf(uint32_t type) {
  switch (type) {
    case int8: case uint8: return 1;
    case int32: case float32: return 4;
    case int64: case float64: return 8;
    default: return 0;
  }
}

template <class Number>
void addUp(NCCLRoom &room, size_t from, size_t bytes, unsigned char *target) {
  Number *const sums = reinterpret_cast<Number *>(target);
  for (size_t place = 0; place < bytes / sizeof(Number); ++place) {
    Number sum = reinterpret_cast<const Number *>(room.part(0) + from)[place];
    for (unsigned rank = 1; rank < room.count; ++rank) {
      sum += reinterpret_cast<const Number *>(room.part(rank) + from)[place];
    }
    sums[place] = sum;
  }
}

/// Adds up the bytes of all parts from a place on.
void addUp(uint32_t type, NCCLRoom &room, size_t from, size_t bytes, unsigned char *target) {
  switch (type) {
    case int32: addUp<int32_t>(room, from, bytes, target); break;
    case int64: addUp<int64_t>(room, from, bytes, target); break;
    case float64: addUp<double>(room, from, bytes, target); break;
    default: addUp<float>(room, from, bytes, target);
  }
}

/// Waits for all ranks; an error says who did not come.
int meet(Communicator &communicator, const RankOperation &operation) {
  NCCLRoom &room = *communicator.room;
  const Meeting meeting = room.meet(currentPatience());
  if (meeting == Meeting::complete) return success;
  const std::string what = kindNames[operation.kind];
  const std::string who = "rank " + std::to_string(room.missing);
  room.leave();
  switch (meeting) {
    case Meeting::late: return refuse(systemError, what + ": " + who + " did not come in time");
    case Meeting::gone: return refuse(remoteError, what + ": " + who + " is gone");
    default: return refuse(systemError, what + ": the communicator was aborted");
  }
}

/// The whole operation, once all ranks do it.
int carryOut(Communicator &communicator, const RankOperation &operation, const void *send, void *receive) {
  NCCLRoom &room = *communicator.room;
  const size_t size = bytesOf(operation.type), ranks = room.count;
  const size_t sent = operation.count * size * (operation.kind == reduceScatter ? ranks : 1);
  const size_t received = operation.count * size * (operation.kind == allGather ? ranks : 1);
  const bool isSource = operation.kind != broadcast || operation.root == room.rank;
  if ((isSource && !cudaemu::isInside(send, sent)) || !cudaemu::isInside(receive, received)) {
    return refuse(unhandledCUDAError, std::string(kindNames[operation.kind]) + ": memory that is not the device's");
  }
  room.operation(room.rank) = operation;
  if (const int status = meet(communicator, operation)) return status;
  for (unsigned other = 0; other < ranks; ++other) {
    const RankOperation &their = room.operation(other);
    if (their == room.operation(0)) continue;
    return refuse(invalidUsage, "rank 0 calls " + std::string(kindNames[room.operation(0).kind]) + " of " +
                                    std::to_string(room.operation(0).count) + " and rank " + std::to_string(other) +
                                    " " + kindNames[their.kind] + " of " + std::to_string(their.count));
  }
  const auto *const source = static_cast<const unsigned char *>(send);
  auto *const target = static_cast<unsigned char *>(receive);
  for (size_t start = 0; start < sent; start += NCCLRoom::chunkBytes) {
    const size_t bytes = std::min(NCCLRoom::chunkBytes, sent - start);
    if (isSource) std::copy_n(source + start, bytes, room.part(room.rank));
    if (const int status = meet(communicator, operation)) return status;
    switch (operation.kind) {
      case allReduce: addUp(operation.type, room, 0, bytes, target + start); break;
      case reduceScatter: {
        // What of these bytes this rank gets.
        const size_t first = std::max(start, room.rank * received);
        const size_t last = std::min(start + bytes, (room.rank + 1) * received);
        if (first < last) {
          addUp(operation.type, room, first - start, last - first, target + (first - room.rank * received));
        }
        break;
      }
      case allGather:
        for (unsigned rank = 0; rank < ranks; ++rank) {
          std::copy_n(room.part(rank), bytes, target + rank * sent + start);
        }
        break;
      default: std::copy_n(room.part(operation.root), bytes, target + start);
    }
    // Nobody shows the next numbers before all have read these.
    if (const int status = meet(communicator, operation)) return status;
  }
  ++operations;
  return success;
}

/// Checks a call, and submits its operation to the stream now or at the end of the group.
int submit(void *handle, void *stream, RankOperation operation, const void *send, void *receive) {
  const std::shared_ptr<Communicator> communicator = find(handle);
  const std::string name = kindNames[operation.kind];
  if (!communicator) return refuse(invalidArgument, name + ": no such communicator");
  if (communicator->failure) return communicator->failure;
  if (bytesOf(operation.type) == 0) return refuse(invalidArgument, name + ": numbers that the emulator does not have");
  if (operation.reduction != 0) return refuse(invalidArgument, name + ": the emulator only adds");
  if (operation.kind == broadcast && operation.root >= communicator->room->count) {
    return refuse(invalidArgument, name + ": there is no rank " + std::to_string(operation.root));
  }
  if (!cudaemu::isUsable(stream)) return refuse(unhandledCUDAError, name + ": no such stream");
  if (operation.count == 0) return success;
  const auto perform = [=]() -> int {
    const int done = cudaemu::perform(stream, [=]() -> int {
      if (!communicator->isOpen) communicator->failure = refuse(invalidUsage, name + ": the communicator is gone");
      if (!communicator->failure) communicator->failure = carryOut(*communicator, operation, send, receive);
      // CUDA_ERROR_LAUNCH_FAILED, where a graph contains it.
      return communicator->failure ? 719 : 0;
    });
    if (done == 0) return success;
    return communicator->failure ? communicator->failure.load() : refuse(unhandledCUDAError, name + ": the stream");
  };
  if (groupDepth == 0) return perform();
  grouped.push_back(perform);
  return success;
}

}  // namespace

extern "C" {

static int ncclGetVersion(int *version) {
  if (!version) return invalidArgument;
  // No release will have this minor version: 2.99.0.
  *version = 29900;
  return success;
}

static const char *ncclGetErrorString(int result) {
  const cudaemu::StatusName *known = cudaemu::findName(resultNames, result);
  return known ? known->sentence : "unknown result code";
}

static const char *ncclGetLastError(void *) {
  static thread_local std::string copy;
  std::lock_guard<std::mutex> guard(lock);
  copy = lastMessage;
  return copy.c_str();
}

static int ncclGetUniqueId(UniqueId *id) {
  if (!id) return invalidArgument;
  std::random_device random;
  *id = {};
  snprintf(id->internal, sizeof id->internal, "/mvar-nccl-%08x%08x", random(), random());
  return success;
}

static int ncclCommInitRank(void **handle, int count, UniqueId id, int rank) {
  if (!handle || count < 1 || rank < 0 || rank >= count) return refuse(invalidArgument, "no such rank");
  if (std::string(id.internal, strnlen(id.internal, sizeof id.internal)).rfind("/mvar-nccl-", 0) != 0) {
    return refuse(invalidArgument, "no such unique id");
  }
  const int device = cudaemu::currentDeviceNumber();
  if (device < 0) return refuse(unhandledCUDAError, "this thread has no current context");
  std::shared_ptr<NCCLRoom> room;
  std::string why;
  const auto entrance =
      NCCLRoom::enter(id.internal, static_cast<unsigned>(rank), static_cast<unsigned>(count),
                      static_cast<uint32_t>(device + 1), currentPatience(), room, why);
  switch (entrance) {
    case NCCLRoom::Entrance::entered: break;
    case NCCLRoom::Entrance::badRank: return refuse(invalidArgument, why);
    case NCCLRoom::Entrance::otherCount: return refuse(invalidArgument, why);
    case NCCLRoom::Entrance::sameDevice: return refuse(invalidUsage, why);
    case NCCLRoom::Entrance::gone: return refuse(remoteError, why);
    default: return refuse(systemError, why);
  }
  const auto communicator = std::make_shared<Communicator>();
  communicator->room = room;
  *handle = communicator.get();
  std::lock_guard<std::mutex> guard(lock);
  communicators[*handle] = communicator;
  return success;
}

static int ncclCommDestroy(void *handle) {
  const std::shared_ptr<Communicator> communicator = remove(handle);
  if (!communicator) return refuse(invalidArgument, "no such communicator");
  communicator->isOpen = false;
  communicator->room->leave();
  return success;
}

static int ncclCommAbort(void *handle) {
  const std::shared_ptr<Communicator> communicator = remove(handle);
  if (!communicator) return refuse(invalidArgument, "no such communicator");
  communicator->isOpen = false;
  communicator->room->isAborted = true;
  communicator->room->leave();
  return success;
}

static int ncclCommGetAsyncError(void *handle, int *result) {
  const std::shared_ptr<Communicator> communicator = find(handle);
  if (!communicator || !result) return refuse(invalidArgument, "no such communicator");
  *result = communicator->failure;
  return success;
}

static int ncclGroupStart(void) {
  ++groupDepth;
  return success;
}

static int ncclGroupEnd(void) {
  if (groupDepth == 0) return refuse(invalidUsage, "ncclGroupEnd without ncclGroupStart");
  if (--groupDepth > 0) return success;
  const auto members = std::move(grouped);
  grouped.clear();
  for (const auto &perform : members) {
    if (const int status = perform()) return status;
  }
  return success;
}

static int ncclAllReduce(const void *send, void *receive, size_t count, int type, int reduction, void *communicator,
                         void *stream) {
  return submit(communicator, stream,
                {allReduce, static_cast<uint32_t>(type), static_cast<uint32_t>(reduction), 0, count}, send, receive);
}

static int ncclReduceScatter(const void *send, void *receive, size_t count, int type, int reduction,
                             void *communicator, void *stream) {
  return submit(communicator, stream,
                {reduceScatter, static_cast<uint32_t>(type), static_cast<uint32_t>(reduction), 0, count}, send,
                receive);
}

static int ncclAllGather(const void *send, void *receive, size_t count, int type, void *communicator, void *stream) {
  return submit(communicator, stream, {allGather, static_cast<uint32_t>(type), 0, 0, count}, send, receive);
}

static int ncclBroadcast(const void *send, void *receive, size_t count, int type, int root, void *communicator,
                         void *stream) {
  return submit(communicator, stream,
                {broadcast, static_cast<uint32_t>(type), 0, static_cast<uint32_t>(root), count}, send, receive);
}

void cudaemu_set_nccl_timeout(unsigned milliseconds) { patience = milliseconds; }
size_t cudaemu_nccl_operations(void) { return operations; }
size_t cudaemu_live_nccl_communicators(void) {
  std::lock_guard<std::mutex> guard(lock);
  return communicators.size();
}

}  // extern "C"

void *cudaemu::findNCCLFunction(const char *name) {
  static const Function functions[] = {
      FUNCTION(ncclGetVersion), FUNCTION(ncclGetErrorString), FUNCTION(ncclGetLastError), FUNCTION(ncclGetUniqueId),
      FUNCTION(ncclCommInitRank), FUNCTION(ncclCommDestroy), FUNCTION(ncclCommAbort),
      FUNCTION(ncclCommGetAsyncError), FUNCTION(ncclGroupStart), FUNCTION(ncclGroupEnd), FUNCTION(ncclAllReduce),
      FUNCTION(ncclReduceScatter), FUNCTION(ncclAllGather), FUNCTION(ncclBroadcast),
  };
  return findFunction(functions, name);
}
