// The package's kernels, compiled for this machine's processors: all files in the list, one after another. Macros that
// a file defines remain visible in the files after it; everything else is in the file's own namespace.

#include <iterator>

#include "Prelude.hpp"

#define EACH_KERNEL_FILE "KernelFile.hpp"
#include "KernelList.h"

namespace cudaemu {

extern const KernelFile kernelFiles[] = {
#define KERNEL_LIST_ENTRY(file, kernels) \
  {KERNEL_FILE_NAME, ::kernelFiles::file::table, std::size(::kernelFiles::file::table)},
#include "KernelList.h"
};

extern const size_t kernelFileCount = std::size(kernelFiles);

}  // namespace cudaemu
