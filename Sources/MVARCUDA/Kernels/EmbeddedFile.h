// One file in the list with its text: an element of the table in KernelText.c. Included by KernelList.h, once for each
// file.

{KERNEL_FILE_NAME, (const char[]){
#embed KERNEL_FILE_NAME suffix(, 0)
}, (const char *const[]){KERNELS(QUOTED) 0}},

#undef KERNEL_FILE
#undef KERNELS
