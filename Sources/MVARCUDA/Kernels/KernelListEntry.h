// One file in the list, as a macro defined by the includer: KERNEL_LIST_ENTRY(file, kernels), where kernels(EACH) is
// EACH(name) for every kernel of the file. Included by KernelList.h, once for each file.

KERNEL_LIST_ENTRY(KERNEL_FILE, KERNELS)

#undef KERNEL_FILE
#undef KERNELS
