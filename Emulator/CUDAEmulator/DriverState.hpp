// The state of the emulated driver, and the checks that its functions share: error codes, the message of the last
// error, live handles, the available kernels.

#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "CUDAEmulator.h"
#include "Graphs.hpp"
#include "Library.hpp"
#include "Machine.hpp"
#include "Memory.hpp"
#include "Registry.hpp"

namespace cudaemu {

/// The package's own kernel files (Kernels/Kernels.cpp).
extern const KernelFile kernelFiles[];
extern const size_t kernelFileCount;

/// The files that a test has added.
inline std::mutex addedFilesLock;
inline std::vector<const KernelFile *> &addedFiles = *new std::vector<const KernelFile *>;

/// The first of all files for which a predicate is true, or null.
template <class Question> const KernelFile *findFile(const Question &question) {
  for (size_t i = 0; i < kernelFileCount; ++i) {
    if (question(kernelFiles[i])) return &kernelFiles[i];
  }
  std::lock_guard<std::mutex> guard(addedFilesLock);
  for (const KernelFile *file : addedFiles) {
    if (question(*file)) return file;
  }
  return nullptr;
}

/// The kernel with a name in a file, or null.
inline const Kernel *findKernel(const KernelFile &file, const char *name) {
  for (size_t i = 0; i < file.count; ++i) {
    if (!strcmp(file.kernels[i].name, name)) return &file.kernels[i];
  }
  return nullptr;
}

/// CUresult.
enum Result : int {
  success = 0,
  invalidValue = 1,
  outOfMemory = 2,
  notInitialized = 3,
  noDevice = 100,
  invalidDevice = 101,
  invalidImage = 200,
  invalidContext = 201,
  invalidHandle = 400,
  illegalState = 401,
  notFound = 500,
  notReady = 600,
  illegalAddress = 700,
  launchFailed = 719,
  captureUnsupported = 900,
  captureInvalidated = 901,
  capturedEvent = 907,
  captureWrongThread = 908,
};

inline const StatusName resultNames[] = {
    {success, "CUDA_SUCCESS", "no error"},
    {invalidValue, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {outOfMemory, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {notInitialized, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {noDevice, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {invalidDevice, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {invalidImage, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {invalidContext, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {invalidHandle, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {illegalState, "CUDA_ERROR_ILLEGAL_STATE", "the operation cannot be performed in the present state"},
    {notFound, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {notReady, "CUDA_ERROR_NOT_READY", "device not ready"},
    {illegalAddress, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {launchFailed, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {captureUnsupported, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"},
    {captureInvalidated, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED",
     "operation failed due to a previous error during capture"},
    {capturedEvent, "CUDA_ERROR_CAPTURED_EVENT",
     "operation not permitted on an event last recorded in a capturing stream"},
    {captureWrongThread, "CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD",
     "attempt to terminate a thread-local capture sequence from another thread"},
};

inline std::atomic<bool> isInitialized{false};
inline std::atomic<unsigned> schedule{0}, hostThreads{1};
inline std::atomic<size_t> launches{0};
inline thread_local char lastError[512] = "";
/// How many devices there are, all with the same memory: processes that share work take different ones.
constexpr int mostDevices = 8;
inline std::atomic<int> devices{0};
/// The context of each device, and which cuCtxSetCurrent has made current for this thread; −1 for none.
inline char contexts[mostDevices];
inline thread_local int currentDevice = -1;

inline int deviceCount() {
  if (const int set = devices) return set;
  const char *const variable = std::getenv("CUDA_EMULATOR_DEVICES");
  const int named = variable ? std::atoi(variable) : 1;
  return named < 1 ? 1 : named > mostDevices ? mostDevices : named;
}
inline bool isDevice(int device) { return device >= 0 && device < deviceCount(); }

/// Stores a message for cudaemu_error.
inline Result explain(Result result, const std::string &why) {
  snprintf(lastError, sizeof lastError, "%s", why.c_str());
  return result;
}

/// Streams and events; modules are the kernel files themselves.
inline Handles &streams = *new Handles;
inline Handles &events = *new Handles;

/// The dynamic shared memory that a kernel may use without requesting it (48 KiB including its own declarations, for
/// which 2 KiB are subtracted here), and what kernels have requested.
constexpr int ordinaryShared = 46 << 10;
constexpr int mostShared = 99 << 10;
inline std::mutex sharedLimitLock;
inline std::map<const Kernel *, int> &sharedLimits = *new std::map<const Kernel *, int>;

struct Event {
  bool isRecorded = false;
  /// Whether that was while the stream was captured: then it cannot be waited for.
  bool isCaptured = false;
  std::chrono::steady_clock::time_point time;
};

/// The requirements of a call that uses a stream: a context, and a stream that exists (null is the default one).
inline Result ready(void *stream) {
  if (!isInitialized) return explain(notInitialized, "cuInit has not been called");
  if (currentDevice < 0) return explain(invalidContext, "this thread has no current context");
  if (stream && !streams.contains(stream)) return explain(invalidHandle, "no such stream");
  return success;
}

inline void *pointer(unsigned long long address) { return reinterpret_cast<void *>(static_cast<uintptr_t>(address)); }

/// Refuses a range that is not inside one allocation.
inline Result inside(unsigned long long address, size_t bytes, const char *what) {
  if (isInside(pointer(address), bytes)) return success;
  return explain(invalidValue, std::string(what) + " of " + std::to_string(bytes) + " bytes outside device memory");
}

#define RETURN_IF_FAILED(call) \
  if (const int result = (call); result != success) return result

}  // namespace cudaemu
