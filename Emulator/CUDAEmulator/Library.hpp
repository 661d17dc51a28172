// What the emulated driver, cuBLAS and NCCL share: tables of functions, live handles, and what the latter two need from
// the driver.

#pragma once
#include <cstddef>
#include <cstring>
#include <mutex>
#include <set>
#include <string>

namespace cudaemu {

/// A function with the name that a library exports it by.
struct Function {
  const char *name;
  void *address;
};
#define FUNCTION(function) {#function, reinterpret_cast<void *>(&function)}

/// The address of a name in a table, or null.
template <size_t count> void *findFunction(const Function (&functions)[count], const char *name) {
  for (const Function &function : functions) {
    if (name && !std::strcmp(function.name, name)) return function.address;
  }
  return nullptr;
}

/// A status of a library with its name and the library's message for it.
struct StatusName {
  int status;
  const char *name;
  const char *sentence;
};

/// The entry of a status in a table, or null.
template <size_t count> const StatusName *findName(const StatusName (&names)[count], int status) {
  for (const StatusName &known : names) {
    if (known.status == status) return &known;
  }
  return nullptr;
}

/// The emulated function with a name among those that load or launch kernels, those for graphs, or those of cuBLAS
/// or NCCL; null if it is none of them.
void *findModuleFunction(const char *name);
void *findGraphFunction(const char *name);
void *findBLASFunction(const char *name);
void *findNCCLFunction(const char *name);

/// Whether this thread has a context, and the stream exists (null is the default one).
bool isUsable(void *stream);

/// The number of the device whose context is current for this thread; −1 for none.
int currentDeviceNumber();

/// Stores a message for cudaemu_error.
void explain(const std::string &why);

/// Handles that are alive, so that a stale one is recognized.
class Handles {
 public:
  void add(void *handle) {
    std::lock_guard<std::mutex> guard(lock);
    live.insert(handle);
  }
  bool contains(void *handle) {
    std::lock_guard<std::mutex> guard(lock);
    return live.count(handle) > 0;
  }
  bool remove(void *handle) {
    std::lock_guard<std::mutex> guard(lock);
    return live.erase(handle) > 0;
  }
  size_t count() {
    std::lock_guard<std::mutex> guard(lock);
    return live.size();
  }

 private:
  std::mutex lock;
  std::set<void *> live;
};

}  // namespace cudaemu
