// The text of the CUDA kernels, embedded: the compiler copies the files themselves, so only the list of kernels
// (KernelList.h) and the list of headers, which is here, have to be kept up to date.

#include "KernelText.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

#define QUOTED(name) #name,

static const kernel_file files[] = {
#define EACH_KERNEL_FILE "EmbeddedFile.h"
#include "KernelList.h"
};

static const kernel_file headers[] = {
{"attention.cuh", (const char[]){
#embed "attention.cuh" suffix(, 0)
}, 0},
{"portable.cuh", (const char[]){
#embed "portable.cuh" suffix(, 0)
}, 0},
{"product.cuh", (const char[]){
#embed "product.cuh" suffix(, 0)
}, 0},
{"reductions.cuh", (const char[]){
#embed "reductions.cuh" suffix(, 0)
}, 0},
};

const kernel_file *kernel_file_at(size_t index) {
  return index < sizeof files / sizeof *files ? &files[index] : 0;
}

const kernel_file *kernel_header_at(size_t index) {
  return index < sizeof headers / sizeof *headers ? &headers[index] : 0;
}
