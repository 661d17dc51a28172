// CUDA devices emulated on this machine's processors: the functions of the driver, of cuBLAS and of NCCL by name, and
// queries for tests.
//
// The kernels' source is compiled as C++ (Kernels/), each thread of a block runs on its own fiber, and a driver
// function found here behaves like the one of the same name in libcuda. Memory that a kernel has not written holds NaN,
// copies outside an allocation are refused, and a kernel that writes outside one is reported.

#ifndef CUDA_EMULATOR_H
#define CUDA_EMULATOR_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/// The emulated function with that name in the driver ("cuMemAlloc_v2", …), in cuBLAS ("cublasGemmEx", …) or in NCCL
/// ("ncclAllReduce", …), or NULL: a substitute for dlsym of libcuda, of libcublas and of libnccl.
///
/// cuModuleLoadData takes the name of a kernel file ("Linear.cu") as an image. Launches run to completion before they
/// return, so a faulty kernel is reported by cuLaunchKernel itself, or by cuGraphLaunch.
void *cudaemu_symbol(const char *name);

/// The order in which the threads of a block run between two synchronizations. A correct kernel gives the same result
/// under every schedule; a missing barrier shows up under some.
///
/// 0: each in turn, asynchronous copies arrive as late as allowed. 1: in reverse, copies arrive immediately. Others
/// shuffle the threads with that seed; if seed mod 4 is 2 or 3, whole warps run as far as they can before another runs;
/// odd seeds copy immediately. 0 and 3 together catch the usual omissions.
void cudaemu_set_schedule(unsigned schedule);

/// How many threads of this process share the blocks of a launch; 1 unless set.
void cudaemu_set_host_threads(unsigned count);

/// How many devices there are, from 1 to 8; 0 for as many as the environment variable CUDA_EMULATOR_DEVICES says, or 1.
void cudaemu_set_devices(int count);

/// How long a rank waits for the others in an operation of NCCL; 600,000 unless set, or the environment variable
/// CUDA_EMULATOR_NCCL_TIMEOUT says otherwise. (The library itself waits without limit.)
void cudaemu_set_nccl_timeout(unsigned milliseconds);

/// Why the latest launch or memory operation of this thread failed: a message with kernel, block and thread.
const char *cudaemu_error(void);

/// Allocations of device memory that have not been freed, and their bytes.
size_t cudaemu_live_allocations(void);
size_t cudaemu_live_bytes(void);

/// Graphs that have not been destroyed, including executable ones.
size_t cudaemu_live_graphs(void);

/// Kernel launches so far, including those by graphs.
size_t cudaemu_launches(void);

/// cuBLAS matrix products so far, and cuBLAS handles that have not been destroyed.
size_t cudaemu_blas_products(void);
size_t cudaemu_live_blas_handles(void);

/// NCCL operations of this process so far, and communicators that have been neither destroyed nor aborted.
size_t cudaemu_nccl_operations(void);
size_t cudaemu_live_nccl_communicators(void);

/// The parameters of a kernel, a letter each (p pointer, i 32-bit integer, l 64-bit integer, f float, d double), or
/// NULL if there is no such kernel. A driver cannot check what is passed to a kernel; a test of the caller can.
const char *cudaemu_signature(const char *kernel);

/// The name of the package's kernel file at an index, and that of the kernel at an index of a file; NULL past the end.
const char *cudaemu_file_at(size_t index);
const char *cudaemu_kernel_at(const char *file, size_t index);

#ifdef __cplusplus
}
#endif

#endif
