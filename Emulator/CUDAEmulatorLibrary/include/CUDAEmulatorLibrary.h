// The emulated CUDA device as a library that a program loads instead of NVIDIA's: it exports the functions of the
// driver (Driver.cpp), of the run-time compiler (Compiler.cpp), of cuBLAS (BLAS.cpp) and of NCCL (NCCL.cpp) under their
// own names, so one file replaces all four.
//
//     export MVAR_CUDA_DRIVER=…/libcuda-emulator.so MVAR_NVRTC=…/libcuda-emulator.so MVAR_CUBLAS=…/libcuda-emulator.so
//     export MVAR_NCCL=…/libcuda-emulator.so CUDA_EMULATOR_DEVICES=2
//     MVAR_CUDA_CACHE= mvar devices

#ifndef CUDA_EMULATOR_LIBRARY_H
#define CUDA_EMULATOR_LIBRARY_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// What it uses from the emulator. (The emulator's own header belongs to another module, which C++ here cannot include.)
void *cudaemu_symbol(const char *name);
const char *cudaemu_file_at(size_t index);

#ifdef __cplusplus
}
#endif

#endif
