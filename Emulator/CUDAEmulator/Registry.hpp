// The kernels of one file by name, with functions that unpack the parameters of a launch.
//
// The kernels of a file are compared with a list at compile time (for the package's own files, Kernels/KernelList.h): a
// kernel that is not listed does not compile, nor does the table of a file that lacks a listed one.

#pragma once
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "Machine.hpp"

namespace cudaemu {

/// Whether a pointer may be passed to a kernel: null, or inside an allocation.
bool isDeviceMemory(const void *pointer);

/// A kernel in a file.
struct Kernel {
  const char *name;
  Thunk thunk;
  /// A letter per parameter; see cudaemu_signature.
  const char *signature;
  /// The index of the first pointer parameter that does not point to device memory, or −1.
  int (*findStrayPointer)(void *const *parameters);
};

/// A kernel file, as cuModuleLoadData knows it.
struct KernelFile {
  const char *name;
  const Kernel *kernels;
  size_t count;
};

/// Registers a file besides the package's own, for tests of the emulator itself. The file stays registered.
void addKernelFile(const KernelFile &file);

/// The letter of a parameter's type.
template <class T> constexpr char letter() {
  if (std::is_pointer_v<T>) return 'p';
  if (std::is_same_v<T, float>) return 'f';
  if (std::is_same_v<T, double>) return 'd';
  static_assert(std::is_pointer_v<T> || std::is_arithmetic_v<T>, "a kernel takes pointers and numbers");
  return sizeof(T) == 8 ? 'l' : 'i';
}

template <auto function> struct Unpacked;

template <class... Parameters, void (*function)(Parameters...)> struct Unpacked<function> {
  static constexpr char signature[] = {letter<Parameters>()..., '\0'};

  static void call(void *const *parameters) { call(parameters, std::index_sequence_for<Parameters...>()); }

  static int findStrayPointer(void *const *parameters) {
    for (size_t i = 0; signature[i]; ++i) {
      if (signature[i] == 'p' && !isDeviceMemory(*static_cast<const void *const *>(parameters[i]))) {
        return static_cast<int>(i);
      }
    }
    return -1;
  }

 private:
  template <size_t... i> static void call(void *const *parameters, std::index_sequence<i...>) {
    function(*static_cast<Parameters *>(parameters[i])...);
  }
};

}  // namespace cudaemu

/// The kernels of a file, declared before it: `kernels(EACH)` is EACH(name) for each.
#define KERNELS_OF_FILE(kernels) enum class Listed { kernels(LISTED_KERNEL) };
#define LISTED_KERNEL(name) name,

/// A kernel, which is in the list of its file.
#define KERNEL(name, ...)                                                 \
  [[maybe_unused]] static constexpr Listed name##IsListed = Listed::name; \
  static void name(__VA_ARGS__)
#define RESIDENT_KERNEL(blocks, name, ...) KERNEL(name, __VA_ARGS__)

/// The elements of the table of a file's kernels, placed after it. The parameters are deduced from the functions.
#define KERNEL_TABLE(kernels) {kernels(KERNEL_TABLE_ENTRY)}
#define KERNEL_TABLE_ENTRY(name)                                                             \
  {#name, ::cudaemu::Unpacked<&name>::call, ::cudaemu::Unpacked<&name>::signature,           \
   ::cudaemu::Unpacked<&name>::findStrayPointer},
