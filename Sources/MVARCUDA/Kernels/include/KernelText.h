// The CUDA kernels by name, and their text as it was when the package was built.

#ifndef KERNEL_TEXT_H
#define KERNEL_TEXT_H

#include <stddef.h>

/// One embedded file.
typedef struct {
  /// The file's name, such as `LayerNorm.cu`.
  const char *name;
  /// Its text, terminated by a zero byte.
  const char *text;
  /// The names of its kernels, with a null pointer after the last; null for a header.
  const char *const *kernels;
} kernel_file;

/// The file of kernels at an index, in the order of the list; null past the last.
const kernel_file *kernel_file_at(size_t index);

/// The header at an index, which kernels include by its name; null past the last.
const kernel_file *kernel_header_at(size_t index);

/// Every kernel by name, in the order of the list: all of the first file, then all of the second, and so on.
typedef enum __attribute__((enum_extensibility(closed), swift_name("Kernel"))) {
#define KERNEL_ENUMERATOR(name) kernel_##name __attribute__((swift_name(#name))),
#define KERNEL_LIST_ENTRY(file, kernels) kernels(KERNEL_ENUMERATOR)
#include "../KernelList.h"
#undef KERNEL_ENUMERATOR
#undef KERNEL_LIST_ENTRY
} kernel_name;

#endif
