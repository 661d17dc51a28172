// The functions of the CUDA driver that the engine uses, with the driver's own signatures and error codes.
//
// Everything is done before a function returns, except on captured streams (Graphs.cpp); streams and events exist so
// that the caller's code is the same. A caller's mistakes (a stale handle, memory that is not the device's, a copy that
// is too long, use before cuInit) return the error that a driver would return.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <map>
#include <mutex>
#include <string>

#include "CUDAEmulator.h"
#include "DriverState.hpp"

using namespace cudaemu;

extern "C" {

// MARK: Device and context

static int cuInit(unsigned flags) {
  if (flags != 0) return invalidValue;
  isInitialized = true;
  return success;
}

static int cuDriverGetVersion(int *version) {
  if (!version) return invalidValue;
  *version = 13000;
  return success;
}

static int cuDeviceGetCount(int *count) {
  if (!isInitialized) return notInitialized;
  if (!count) return invalidValue;
  *count = deviceCount();
  return success;
}

static int cuDeviceGet(int *device, int ordinal) {
  if (!isInitialized) return notInitialized;
  if (!device) return invalidValue;
  if (!isDevice(ordinal)) return invalidDevice;
  *device = ordinal;
  return success;
}

static int cuDeviceGetName(char *name, int capacity, int device) {
  if (!isInitialized) return notInitialized;
  if (!name || capacity <= 0) return invalidValue;
  if (!isDevice(device)) return invalidDevice;
  snprintf(name, static_cast<size_t>(capacity), "CUDA emulator");
  return success;
}

static int cuDeviceGetAttribute(int *value, int attribute, int device) {
  if (!isInitialized) return notInitialized;
  if (!value) return invalidValue;
  if (!isDevice(device)) return invalidDevice;
  switch (attribute) {
    case 1: *value = 1024; break;                        // MAX_THREADS_PER_BLOCK
    case 2: case 3: *value = 1024; break;                // MAX_BLOCK_DIM_X, _Y
    case 4: *value = 64; break;                          // MAX_BLOCK_DIM_Z
    case 5: *value = 0x7fffffff; break;                  // MAX_GRID_DIM_X
    case 6: case 7: *value = 65535; break;               // MAX_GRID_DIM_Y, _Z
    case 8: *value = 48 << 10; break;                    // MAX_SHARED_MEMORY_PER_BLOCK
    case 10: *value = 32; break;                         // WARP_SIZE
    case 13: *value = 1000000; break;                    // CLOCK_RATE
    case 16: *value = 4; break;                          // MULTIPROCESSOR_COUNT
    case 33: *value = device + 1; break;                 // PCI_BUS_ID
    case 39: *value = 1536; break;                       // MAX_THREADS_PER_MULTIPROCESSOR
    case 75: *value = 8; break;                          // COMPUTE_CAPABILITY_MAJOR
    case 76: *value = 9; break;                          // COMPUTE_CAPABILITY_MINOR
    case 81: *value = 100 << 10; break;                  // MAX_SHARED_MEMORY_PER_MULTIPROCESSOR
    case 97: *value = mostShared; break;                 // MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
    default: *value = 0;
  }
  return success;
}

static int cuDeviceTotalMem_v2(size_t *bytes, int device) {
  if (!isInitialized) return notInitialized;
  if (!bytes) return invalidValue;
  if (!isDevice(device)) return invalidDevice;
  *bytes = static_cast<size_t>(8) << 30;
  return success;
}

static int cuMemGetInfo_v2(size_t *freeBytes, size_t *totalBytes) {
  RETURN_IF_FAILED(ready(nullptr));
  if (!freeBytes || !totalBytes) return invalidValue;
  *totalBytes = static_cast<size_t>(8) << 30;
  const size_t used = cudaemu_live_bytes();
  *freeBytes = used < *totalBytes ? *totalBytes - used : 0;
  return success;
}

static int cuDevicePrimaryCtxRetain(void **result, int device) {
  if (!isInitialized) return notInitialized;
  if (!result) return invalidValue;
  if (!isDevice(device)) return invalidDevice;
  *result = &contexts[device];
  return success;
}

static int cuDevicePrimaryCtxRelease_v2(int device) {
  if (!isInitialized) return notInitialized;
  return isDevice(device) ? success : invalidDevice;
}

static int cuCtxSetCurrent(void *newContext) {
  if (!isInitialized) return notInitialized;
  if (!newContext) {
    currentDevice = -1;
    return success;
  }
  for (int device = 0; device < mostDevices; ++device) {
    if (newContext == &contexts[device]) {
      currentDevice = device;
      return success;
    }
  }
  return invalidContext;
}

static int cuCtxSynchronize(void) {
  RETURN_IF_FAILED(ready(nullptr));
  return refuseWhileCaptured(nullptr, "waiting");
}

// MARK: Memory

static int cuMemAlloc_v2(unsigned long long *address, size_t bytes) {
  RETURN_IF_FAILED(ready(nullptr));
  RETURN_IF_FAILED(refuseUnsafe("an allocation"));
  if (!address || bytes == 0) return explain(invalidValue, "an allocation of no bytes");
  void *memory = allocate(bytes);
  if (!memory) return explain(outOfMemory, "no memory for " + std::to_string(bytes) + " bytes");
  *address = reinterpret_cast<uintptr_t>(memory);
  return success;
}

static int cuMemFree_v2(unsigned long long address) {
  RETURN_IF_FAILED(ready(nullptr));
  RETURN_IF_FAILED(refuseUnsafe("freeing memory"));
  return release(pointer(address)) ? success : explain(invalidValue, "freeing what is no allocation");
}

// Pageable host memory can only be copied immediately, which is impossible on a captured stream.
static int cuMemcpyHtoDAsync_v2(unsigned long long target, const void *source, size_t bytes, void *stream) {
  RETURN_IF_FAILED(ready(stream));
  if (isCaptured(stream)) return refuseWhileCaptured(stream, "a copy from the host");
  RETURN_IF_FAILED(inside(target, bytes, "a copy"));
  if (bytes > 0) std::memcpy(pointer(target), source, bytes);
  return success;
}

static int cuMemcpyDtoHAsync_v2(void *target, unsigned long long source, size_t bytes, void *stream) {
  RETURN_IF_FAILED(ready(stream));
  if (isCaptured(stream)) return refuseWhileCaptured(stream, "a copy to the host");
  RETURN_IF_FAILED(inside(source, bytes, "a copy"));
  if (bytes > 0) std::memcpy(target, pointer(source), bytes);
  return success;
}

static int cuMemcpyDtoDAsync_v2(unsigned long long target, unsigned long long source, size_t bytes, void *stream) {
  RETURN_IF_FAILED(ready(stream));
  return perform(stream, [=]() -> int {
    RETURN_IF_FAILED(inside(source, bytes, "a copy"));
    RETURN_IF_FAILED(inside(target, bytes, "a copy"));
    std::memmove(pointer(target), pointer(source), bytes);
    return success;
  });
}

static int cuMemsetD8Async(unsigned long long target, unsigned char value, size_t count, void *stream) {
  RETURN_IF_FAILED(ready(stream));
  return perform(stream, [=]() -> int {
    RETURN_IF_FAILED(inside(target, count, "a fill"));
    std::memset(pointer(target), value, count);
    return success;
  });
}

static int cuMemsetD32Async(unsigned long long target, unsigned value, size_t count, void *stream) {
  RETURN_IF_FAILED(ready(stream));
  if (target % 4 != 0) return explain(invalidValue, "a fill of 32-bit words that are not aligned");
  return perform(stream, [=]() -> int {
    RETURN_IF_FAILED(inside(target, count * 4, "a fill"));
    for (size_t i = 0; i < count; ++i) static_cast<unsigned *>(pointer(target))[i] = value;
    return success;
  });
}

// MARK: Streams and events

static int cuStreamCreate(void **stream, unsigned) {
  RETURN_IF_FAILED(ready(nullptr));
  if (!stream) return invalidValue;
  *stream = new Stream;
  streams.add(*stream);
  return success;
}

static int cuStreamSynchronize(void *stream) {
  RETURN_IF_FAILED(ready(stream));
  return isCaptured(stream) ? refuseWhileCaptured(stream, "waiting") : success;
}

static int cuStreamDestroy_v2(void *stream) {
  RETURN_IF_FAILED(ready(nullptr));
  if (!streams.remove(stream)) return explain(invalidHandle, "no such stream");
  forgetCapture(static_cast<Stream *>(stream));
  delete static_cast<Stream *>(stream);
  return success;
}

static int cuEventCreate(void **event, unsigned) {
  RETURN_IF_FAILED(ready(nullptr));
  if (!event) return invalidValue;
  *event = new Event;
  events.add(*event);
  return success;
}

static int cuEventRecord(void *event, void *stream) {
  RETURN_IF_FAILED(ready(stream));
  if (!events.contains(event)) return explain(invalidHandle, "no such event");
  *static_cast<Event *>(event) = {true, isCaptured(stream), std::chrono::steady_clock::now()};
  return success;
}

static int cuEventSynchronize(void *event) {
  RETURN_IF_FAILED(ready(nullptr));
  if (!events.contains(event)) return explain(invalidHandle, "no such event");
  if (static_cast<Event *>(event)->isCaptured) return explain(capturedEvent, "waiting for a captured event");
  return success;
}

static int cuEventElapsedTime(float *milliseconds, void *start, void *end) {
  RETURN_IF_FAILED(ready(nullptr));
  if (!milliseconds) return invalidValue;
  if (!events.contains(start) || !events.contains(end)) return explain(invalidHandle, "no such event");
  const Event *first = static_cast<Event *>(start), *last = static_cast<Event *>(end);
  if (!first->isRecorded || !last->isRecorded) return explain(invalidHandle, "an event that was never recorded");
  if (first->isCaptured || last->isCaptured) return explain(capturedEvent, "the time of a captured event");
  *milliseconds = std::chrono::duration<float, std::milli>(last->time - first->time).count();
  return success;
}

static int cuEventDestroy_v2(void *event) {
  RETURN_IF_FAILED(ready(nullptr));
  if (!events.remove(event)) return explain(invalidHandle, "no such event");
  delete static_cast<Event *>(event);
  return success;
}

// MARK: Errors

static int cuGetErrorName(int result, const char **name) {
  const StatusName *known = findName(resultNames, result);
  *name = known ? known->name : nullptr;
  return known ? success : invalidValue;
}

static int cuGetErrorString(int result, const char **sentence) {
  const StatusName *known = findName(resultNames, result);
  *sentence = known ? known->sentence : nullptr;
  return known ? success : invalidValue;
}

// MARK: Queries for tests

void *cudaemu_symbol(const char *name) {
  static const Function functions[] = {
      FUNCTION(cuInit), FUNCTION(cuDriverGetVersion), FUNCTION(cuDeviceGetCount), FUNCTION(cuDeviceGet),
      FUNCTION(cuDeviceGetName), FUNCTION(cuDeviceGetAttribute), FUNCTION(cuDeviceTotalMem_v2),
      FUNCTION(cuMemGetInfo_v2), FUNCTION(cuDevicePrimaryCtxRetain), FUNCTION(cuDevicePrimaryCtxRelease_v2),
      FUNCTION(cuCtxSetCurrent), FUNCTION(cuCtxSynchronize), FUNCTION(cuMemAlloc_v2), FUNCTION(cuMemFree_v2),
      FUNCTION(cuMemcpyHtoDAsync_v2), FUNCTION(cuMemcpyDtoHAsync_v2), FUNCTION(cuMemcpyDtoDAsync_v2),
      FUNCTION(cuMemsetD8Async), FUNCTION(cuMemsetD32Async), FUNCTION(cuStreamCreate), FUNCTION(cuStreamSynchronize),
      FUNCTION(cuStreamDestroy_v2), FUNCTION(cuEventCreate), FUNCTION(cuEventRecord), FUNCTION(cuEventSynchronize),
      FUNCTION(cuEventElapsedTime), FUNCTION(cuEventDestroy_v2), FUNCTION(cuGetErrorName), FUNCTION(cuGetErrorString),
  };
  if (void *const function = findFunction(functions, name)) return function;
  for (const auto find : {findModuleFunction, findGraphFunction, findBLASFunction, findNCCLFunction}) {
    if (void *const function = find(name)) return function;
  }
  return nullptr;
}

void cudaemu_set_schedule(unsigned newSchedule) { schedule = newSchedule; }
void cudaemu_set_host_threads(unsigned count) { hostThreads = count; }
void cudaemu_set_devices(int count) { devices = count < 0 ? 0 : count > mostDevices ? mostDevices : count; }
const char *cudaemu_error(void) { return lastError; }
size_t cudaemu_launches(void) { return launches; }

const char *cudaemu_file_at(size_t index) {
  return index < kernelFileCount ? kernelFiles[index].name : nullptr;
}

const char *cudaemu_kernel_at(const char *name, size_t index) {
  const KernelFile *file = findFile([name](const KernelFile &file) { return !strcmp(file.name, name); });
  return file && index < file->count ? file->kernels[index].name : nullptr;
}

const char *cudaemu_signature(const char *name) {
  const KernelFile *file = findFile([name](const KernelFile &file) { return findKernel(file, name) != nullptr; });
  return file ? findKernel(*file, name)->signature : nullptr;
}

}  // extern "C"

void cudaemu::addKernelFile(const KernelFile &file) {
  std::lock_guard<std::mutex> guard(addedFilesLock);
  addedFiles.push_back(&file);
}

bool cudaemu::isUsable(void *stream) { return ready(stream) == success; }
int cudaemu::currentDeviceNumber() { return currentDevice; }

void cudaemu::explain(const std::string &why) { explain(launchFailed, why); }
