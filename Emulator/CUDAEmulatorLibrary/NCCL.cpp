// The functions of libnccl under their own names. Each passes its arguments on to the emulated function of that name.

#include <cstddef>

#include "Forward.hpp"

struct UniqueId {
  char internal[128];
};

extern "C" {

FORWARD(ncclGetVersion, (int *version), (version))
FORWARD_RESULT(const char *, ncclGetErrorString, (int result), (result))
FORWARD_RESULT(const char *, ncclGetLastError, (void *communicator), (communicator))
FORWARD(ncclGetUniqueId, (UniqueId *id), (id))
FORWARD(ncclCommInitRank, (void **communicator, int count, UniqueId id, int rank), (communicator, count, id, rank))
FORWARD(ncclCommDestroy, (void *communicator), (communicator))
FORWARD(ncclCommAbort, (void *communicator), (communicator))
FORWARD(ncclCommGetAsyncError, (void *communicator, int *result), (communicator, result))
FORWARD(ncclGroupStart, (), ())
FORWARD(ncclGroupEnd, (), ())
FORWARD(
    ncclAllReduce,
    (const void *send, void *receive, size_t count, int type, int reduction, void *communicator, void *stream),
    (send, receive, count, type, reduction, communicator, stream))
FORWARD(
    ncclReduceScatter,
    (const void *send, void *receive, size_t count, int type, int reduction, void *communicator, void *stream),
    (send, receive, count, type, reduction, communicator, stream))
FORWARD(
    ncclAllGather, (const void *send, void *receive, size_t count, int type, void *communicator, void *stream),
    (send, receive, count, type, communicator, stream))
FORWARD(
    ncclBroadcast,
    (const void *send, void *receive, size_t count, int type, int root, void *communicator, void *stream),
    (send, receive, count, type, root, communicator, stream))

}  // extern "C"
