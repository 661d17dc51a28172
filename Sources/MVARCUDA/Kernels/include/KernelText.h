// The text of the CUDA kernels, as it was when the package was built.

#ifndef KERNEL_TEXT_H
#define KERNEL_TEXT_H

#include <stddef.h>

/// One embedded file.
typedef struct {
  /// The file's name, such as `LayerNorm.cu`.
  const char *name;
  /// Its text, with a zero at the end.
  const char *text;
  /// The length of the text without that zero.
  size_t size;
} kernel_text;

/// The file at an index, in no particular order; null behind the last.
const kernel_text *kernel_text_at(size_t index);

#endif
