// The kernels of one file by name, with functions that unpack the parameters of a launch.
//
// Each file in Kernels/ includes one kernel file, whose kernels enter the list of that file where they are defined, before
// the program starts.

#pragma once
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include "Machine.hpp"

namespace cudaemu {

/// Says whether memory may be given to a kernel: null, or inside an allocation.
bool isDeviceMemory(const void *pointer);

/// A kernel of a file.
struct Kernel {
  const char *name;
  Thunk thunk;
  /// A letter per parameter; see cudaemu_signature.
  const char *signature;
  /// The place of the first pointer among the parameters that is no device memory, or −1.
  int (*findStrayPointer)(void *const *parameters);
};

/// A kernel file, as cuModuleLoadData knows it.
struct KernelFile {
  const char *name;
  const std::vector<Kernel> &kernels;
};

/// Makes a file known besides the package's own, for tests of the emulator itself. The file is there for good.
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

/// A kernel: its function, and its entry in the list that Kernels/Prelude.hpp has begun. What the parameters are is
/// deduced from the function.
#define KERNEL(name, ...)                                                                       \
  static void name(__VA_ARGS__);                                                                \
  [[maybe_unused]] static const bool name##IsListed = (kernels.push_back(                       \
      {#name, ::cudaemu::Unpacked<&name>::call, ::cudaemu::Unpacked<&name>::signature,          \
       ::cudaemu::Unpacked<&name>::findStrayPointer}), true);                                   \
  static void name(__VA_ARGS__)
#define RESIDENT_KERNEL(blocks, name, ...) KERNEL(name, __VA_ARGS__)

/// Defines a file by its list.
#define KERNEL_FILE(variable, file)              \
  extern const ::cudaemu::KernelFile variable;   \
  const ::cudaemu::KernelFile variable{file, kernels};
