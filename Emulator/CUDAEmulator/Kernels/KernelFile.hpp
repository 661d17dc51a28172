// One kernel file, in its own namespace, and the table of its kernels. Included by KernelList.h, once for each file.

namespace kernelFiles {
namespace KERNEL_FILE {
namespace {

KERNELS_OF_FILE(KERNELS)

#include KERNEL_FILE_NAME

constexpr cudaemu::Kernel table[] = KERNEL_TABLE(KERNELS);

}  // namespace
}  // namespace KERNEL_FILE
}  // namespace kernelFiles

#undef KERNEL_FILE
#undef KERNELS
