// The functions of the CUDA driver that the engine uses, with the driver's own signatures and error codes.
//
// Everything happens before a function returns; streams and events exist so that the caller's code is the same. What a
// caller can do wrong (a stale handle, memory that is not the device's, a copy that is too long, use before cuInit) is
// answered with the error a driver would give.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
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
  *count = 1;
  return success;
}

static int cuDeviceGet(int *device, int ordinal) {
  if (!isInitialized) return notInitialized;
  if (!device) return invalidValue;
  if (ordinal != 0) return invalidDevice;
  *device = 0;
  return success;
}

static int cuDeviceGetName(char *name, int capacity, int device) {
  if (!isInitialized) return notInitialized;
  if (!name || capacity <= 0) return invalidValue;
  if (device != 0) return invalidDevice;
  snprintf(name, static_cast<size_t>(capacity), "CUDA emulator");
  return success;
}

static int cuDeviceGetAttribute(int *value, int attribute, int device) {
  if (!isInitialized) return notInitialized;
  if (!value) return invalidValue;
  if (device != 0) return invalidDevice;
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
  if (device != 0) return invalidDevice;
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
  if (device != 0) return invalidDevice;
  *result = &context;
  return success;
}

static int cuDevicePrimaryCtxRelease_v2(int device) {
  if (!isInitialized) return notInitialized;
  return device == 0 ? success : invalidDevice;
}

static int cuCtxSetCurrent(void *newContext) {
  if (!isInitialized) return notInitialized;
  if (newContext && newContext != &context) return invalidContext;
  hasContext = newContext != nullptr;
  return success;
}

static int cuCtxSynchronize(void) { return ready(nullptr); }

// MARK: Memory

static int cuMemAlloc_v2(unsigned long long *address, size_t bytes) {
  RETURN_IF_FAILED(ready(nullptr));
  if (!address || bytes == 0) return explain(invalidValue, "an allocation of no bytes");
  void *memory = allocate(bytes);
  if (!memory) return explain(outOfMemory, "no memory for " + std::to_string(bytes) + " bytes");
  *address = reinterpret_cast<uintptr_t>(memory);
  return success;
}

static int cuMemFree_v2(unsigned long long address) {
  RETURN_IF_FAILED(ready(nullptr));
  return release(pointer(address)) ? success : explain(invalidValue, "freeing what is no allocation");
}

static int cuMemcpyHtoDAsync_v2(unsigned long long target, const void *source, size_t bytes, void *stream) {
  RETURN_IF_FAILED(ready(stream));
  RETURN_IF_FAILED(inside(target, bytes, "a copy"));
  if (bytes > 0) std::memcpy(pointer(target), source, bytes);
  return success;
}

static int cuMemcpyDtoHAsync_v2(void *target, unsigned long long source, size_t bytes, void *stream) {
  RETURN_IF_FAILED(ready(stream));
  RETURN_IF_FAILED(inside(source, bytes, "a copy"));
  if (bytes > 0) std::memcpy(target, pointer(source), bytes);
  return success;
}

static int cuMemcpyDtoDAsync_v2(unsigned long long target, unsigned long long source, size_t bytes, void *stream) {
  RETURN_IF_FAILED(ready(stream));
  RETURN_IF_FAILED(inside(source, bytes, "a copy"));
  RETURN_IF_FAILED(inside(target, bytes, "a copy"));
  std::memmove(pointer(target), pointer(source), bytes);
  return success;
}

static int cuMemsetD8Async(unsigned long long target, unsigned char value, size_t count, void *stream) {
  RETURN_IF_FAILED(ready(stream));
  RETURN_IF_FAILED(inside(target, count, "a fill"));
  std::memset(pointer(target), value, count);
  return success;
}

static int cuMemsetD32Async(unsigned long long target, unsigned value, size_t count, void *stream) {
  RETURN_IF_FAILED(ready(stream));
  RETURN_IF_FAILED(inside(target, count * 4, "a fill"));
  if (target % 4 != 0) return explain(invalidValue, "a fill of 32-bit words that are not aligned");
  for (size_t i = 0; i < count; ++i) static_cast<unsigned *>(pointer(target))[i] = value;
  return success;
}

// MARK: Streams and events

static int cuStreamCreate(void **stream, unsigned) {
  RETURN_IF_FAILED(ready(nullptr));
  if (!stream) return invalidValue;
  *stream = new Stream;
  streams.add(*stream);
  return success;
}

static int cuStreamSynchronize(void *stream) { return ready(stream); }

static int cuStreamDestroy_v2(void *stream) {
  RETURN_IF_FAILED(ready(nullptr));
  if (!streams.remove(stream)) return explain(invalidHandle, "no such stream");
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
  *static_cast<Event *>(event) = {true, std::chrono::steady_clock::now()};
  return success;
}

static int cuEventSynchronize(void *event) {
  RETURN_IF_FAILED(ready(nullptr));
  return events.contains(event) ? success : explain(invalidHandle, "no such event");
}

static int cuEventElapsedTime(float *milliseconds, void *start, void *end) {
  RETURN_IF_FAILED(ready(nullptr));
  if (!milliseconds) return invalidValue;
  if (!events.contains(start) || !events.contains(end)) return explain(invalidHandle, "no such event");
  const Event *first = static_cast<Event *>(start), *last = static_cast<Event *>(end);
  if (!first->isRecorded || !last->isRecorded) return explain(invalidHandle, "an event that was never recorded");
  *milliseconds = std::chrono::duration<float, std::milli>(last->time - first->time).count();
  return success;
}

static int cuEventDestroy_v2(void *event) {
  RETURN_IF_FAILED(ready(nullptr));
  if (!events.remove(event)) return explain(invalidHandle, "no such event");
  delete static_cast<Event *>(event);
  return success;
}

// MARK: Modules and launches

static int cuModuleLoadData(void **module, const void *image) {
  RETURN_IF_FAILED(ready(nullptr));
  if (!module || !image) return invalidValue;
  const char *name = static_cast<const char *>(image);
  const KernelFile *file = findFile([name](const KernelFile &file) { return !strcmp(file.name, name); });
  if (file) {
    *module = const_cast<KernelFile *>(file);
    return success;
  }
  return explain(invalidImage, "no kernel file of that name");
}

static int cuModuleUnload(void *module) {
  RETURN_IF_FAILED(ready(nullptr));
  return module ? success : invalidHandle;
}

static int cuModuleGetFunction(void **function, void *module, const char *name) {
  RETURN_IF_FAILED(ready(nullptr));
  if (!function || !module || !name) return invalidValue;
  const KernelFile *file = static_cast<const KernelFile *>(module);
  if (const Kernel *kernel = findKernel(*file, name)) {
    *function = const_cast<Kernel *>(kernel);
    return success;
  }
  return explain(notFound, std::string("no kernel ") + name + " in " + file->name);
}

static int cuFuncSetAttribute(void *function, int attribute, int value) {
  RETURN_IF_FAILED(ready(nullptr));
  if (!function) return invalidHandle;
  if (attribute == 8) {  // MAX_DYNAMIC_SHARED_SIZE_BYTES
    if (value < 0 || value > mostShared) return explain(invalidValue, "more shared memory than a block can have");
    std::lock_guard<std::mutex> guard(sharedLimitLock);
    sharedLimits[static_cast<Kernel *>(function)] = value;
  }
  return success;
}

/// The dynamic shared memory that a kernel may be launched with.
static int sharedLimit(const Kernel &kernel) {
  std::lock_guard<std::mutex> guard(sharedLimitLock);
  const auto asked = sharedLimits.find(&kernel);
  return asked == sharedLimits.end() ? ordinaryShared : asked->second;
}

static int cuLaunchKernel(void *function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX,
                          unsigned blockY, unsigned blockZ, unsigned sharedBytes, void *stream, void **parameters,
                          void **extra) {
  RETURN_IF_FAILED(ready(stream));
  if (!function) return invalidHandle;
  const Kernel &kernel = *static_cast<Kernel *>(function);
  const std::string name = std::string(kernel.name) + ": ";
  if (extra || (!parameters && kernel.signature[0])) {
    return explain(invalidValue, name + "parameters come as an array of pointers");
  }
  if (sharedBytes > static_cast<unsigned>(sharedLimit(kernel))) {
    return explain(invalidValue, name + "more shared memory than cuFuncSetAttribute has allowed");
  }
  if (const int stray = kernel.findStrayPointer(parameters); stray >= 0) {
    return explain(illegalAddress, name + "parameter " + std::to_string(stray) + " is no device memory");
  }
  ++launches;
  char message[400];
  switch (run(kernel.thunk, {gridX, gridY, gridZ}, {blockX, blockY, blockZ}, sharedBytes, parameters, schedule,
              hostThreads, message, sizeof message)) {
    case Outcome::success: break;
    case Outcome::badShape: return explain(invalidValue, name + message);
    case Outcome::failed: return explain(launchFailed, name + message);
  }
  const std::string damage = findDamage();
  return damage.empty() ? success : explain(illegalAddress, name + damage);
}

// MARK: Errors

static int cuGetErrorName(int result, const char **name) {
  const ResultName *known = findName(result);
  *name = known ? known->name : nullptr;
  return known ? success : invalidValue;
}

static int cuGetErrorString(int result, const char **sentence) {
  const ResultName *known = findName(result);
  *sentence = known ? known->sentence : nullptr;
  return known ? success : invalidValue;
}

// MARK: What tests ask

void *cudaemu_symbol(const char *name) {
  static const Function functions[] = {
      FUNCTION(cuInit), FUNCTION(cuDriverGetVersion), FUNCTION(cuDeviceGetCount), FUNCTION(cuDeviceGet),
      FUNCTION(cuDeviceGetName), FUNCTION(cuDeviceGetAttribute), FUNCTION(cuDeviceTotalMem_v2),
      FUNCTION(cuMemGetInfo_v2), FUNCTION(cuDevicePrimaryCtxRetain), FUNCTION(cuDevicePrimaryCtxRelease_v2),
      FUNCTION(cuCtxSetCurrent), FUNCTION(cuCtxSynchronize), FUNCTION(cuMemAlloc_v2), FUNCTION(cuMemFree_v2),
      FUNCTION(cuMemcpyHtoDAsync_v2), FUNCTION(cuMemcpyDtoHAsync_v2), FUNCTION(cuMemcpyDtoDAsync_v2),
      FUNCTION(cuMemsetD8Async), FUNCTION(cuMemsetD32Async), FUNCTION(cuStreamCreate), FUNCTION(cuStreamSynchronize),
      FUNCTION(cuStreamDestroy_v2), FUNCTION(cuEventCreate), FUNCTION(cuEventRecord), FUNCTION(cuEventSynchronize),
      FUNCTION(cuEventElapsedTime), FUNCTION(cuEventDestroy_v2), FUNCTION(cuModuleLoadData), FUNCTION(cuModuleUnload),
      FUNCTION(cuModuleGetFunction), FUNCTION(cuFuncSetAttribute), FUNCTION(cuLaunchKernel),
      FUNCTION(cuGetErrorName), FUNCTION(cuGetErrorString),
  };
  void *const function = findFunction(functions, name);
  return function ? function : findBLASFunction(name);
}

void cudaemu_set_schedule(unsigned newSchedule) { schedule = newSchedule; }
void cudaemu_set_host_threads(unsigned count) { hostThreads = count; }
const char *cudaemu_error(void) { return lastError; }
size_t cudaemu_launches(void) { return launches; }

int cudaemu_kernel_at(size_t index, const char **file, const char **kernel) {
  for (const KernelFile *own : kernelFiles) {
    if (index < own->kernels.size()) {
      *file = own->name;
      *kernel = own->kernels[index].name;
      return 1;
    }
    index -= own->kernels.size();
  }
  return 0;
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

void cudaemu::explain(const std::string &why) { explain(launchFailed, why); }
