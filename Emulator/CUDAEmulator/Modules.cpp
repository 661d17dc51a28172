// The functions of the driver that load kernels and launch them, with the driver's own signatures and error codes. A
// launch runs to completion before it returns, except on a captured stream (Graphs.cpp).

#include <cstdint>
#include <cstring>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "CUDAEmulator.h"
#include "DriverState.hpp"

using namespace cudaemu;

namespace {

/// The dynamic shared memory that a kernel may be launched with.
int sharedLimit(const Kernel &kernel) {
  std::lock_guard<std::mutex> guard(sharedLimitLock);
  const auto asked = sharedLimits.find(&kernel);
  return asked == sharedLimits.end() ? ordinaryShared : asked->second;
}

/// A launch with a copy of its arguments.
struct Launch {
  const Kernel *kernel;
  Triple grid, block;
  unsigned sharedBytes;
  std::vector<uint64_t> words;

  /// Runs the kernel to completion.
  int operator()() {
    std::vector<void *> parameters;
    for (uint64_t &word : words) parameters.push_back(&word);
    const std::string name = std::string(kernel->name) + ": ";
    if (const int stray = kernel->findStrayPointer(parameters.data()); stray >= 0) {
      return explain(illegalAddress, name + "parameter " + std::to_string(stray) + " is no device memory");
    }
    ++launches;
    char message[400];
    switch (run(kernel->thunk, grid, block, sharedBytes, parameters.data(), schedule, hostThreads, message,
                sizeof message)) {
      case Outcome::success: break;
      case Outcome::badShape: return explain(invalidValue, name + message);
      case Outcome::failed: return explain(launchFailed, name + message);
    }
    const std::string damage = findDamage();
    return damage.empty() ? success : explain(illegalAddress, name + damage);
  }
};

}  // namespace

extern "C" {

static int cuModuleLoadData(void **module, const void *image) {
  RETURN_IF_FAILED(ready(nullptr));
  RETURN_IF_FAILED(refuseUnsafe("loading kernels"));
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
  RETURN_IF_FAILED(refuseUnsafe("unloading kernels"));
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
  Launch launch{&kernel, {gridX, gridY, gridZ}, {blockX, blockY, blockZ}, sharedBytes, {}};
  for (size_t i = 0; kernel.signature[i]; ++i) {
    uint64_t word = 0;
    std::memcpy(&word, parameters[i], strchr("if", kernel.signature[i]) ? 4 : 8);
    launch.words.push_back(word);
  }
  return perform(stream, std::move(launch));
}

}  // extern "C"

void *cudaemu::findModuleFunction(const char *name) {
  static const Function functions[] = {
      FUNCTION(cuModuleLoadData), FUNCTION(cuModuleUnload), FUNCTION(cuModuleGetFunction),
      FUNCTION(cuFuncSetAttribute), FUNCTION(cuLaunchKernel),
  };
  return findFunction(functions, name);
}
