// The functions of libcuda under their own names. Each passes its arguments on to the emulated function of that name.

#include <cstddef>

#include "Forward.hpp"

using Address = unsigned long long;

extern "C" {

FORWARD(cuInit, (unsigned flags), (flags))
FORWARD(cuDriverGetVersion, (int *version), (version))
FORWARD(cuGetErrorName, (int result, const char **name), (result, name))
FORWARD(cuGetErrorString, (int result, const char **sentence), (result, sentence))

FORWARD(cuDeviceGetCount, (int *count), (count))
FORWARD(cuDeviceGet, (int *device, int ordinal), (device, ordinal))
FORWARD(cuDeviceGetName, (char *name, int capacity, int device), (name, capacity, device))
FORWARD(cuDeviceGetAttribute, (int *value, int attribute, int device), (value, attribute, device))
FORWARD(cuDeviceTotalMem_v2, (size_t *bytes, int device), (bytes, device))
FORWARD(cuDevicePrimaryCtxRetain, (void **context, int device), (context, device))
FORWARD(cuDevicePrimaryCtxRelease_v2, (int device), (device))
FORWARD(cuCtxSetCurrent, (void *context), (context))
FORWARD(cuCtxSynchronize, (), ())

FORWARD(cuMemGetInfo_v2, (size_t *free, size_t *total), (free, total))
FORWARD(cuMemAlloc_v2, (Address *address, size_t bytes), (address, bytes))
FORWARD(cuMemFree_v2, (Address address), (address))
FORWARD(cuMemcpyHtoDAsync_v2, (Address to, const void *from, size_t bytes, void *stream), (to, from, bytes, stream))
FORWARD(cuMemcpyDtoHAsync_v2, (void *to, Address from, size_t bytes, void *stream), (to, from, bytes, stream))
FORWARD(cuMemcpyDtoDAsync_v2, (Address to, Address from, size_t bytes, void *stream), (to, from, bytes, stream))
FORWARD(cuMemsetD8Async, (Address to, unsigned char value, size_t count, void *stream), (to, value, count, stream))
FORWARD(cuMemsetD32Async, (Address to, unsigned value, size_t count, void *stream), (to, value, count, stream))

FORWARD(cuStreamCreate, (void **stream, unsigned flags), (stream, flags))
FORWARD(cuStreamSynchronize, (void *stream), (stream))
FORWARD(cuStreamDestroy_v2, (void *stream), (stream))
FORWARD(cuStreamBeginCapture_v2, (void *stream, int mode), (stream, mode))
FORWARD(cuStreamEndCapture, (void *stream, void **graph), (stream, graph))
FORWARD(cuGraphInstantiateWithFlags, (void **executable, void *graph, unsigned long long flags),
        (executable, graph, flags))
FORWARD(cuGraphLaunch, (void *executable, void *stream), (executable, stream))
FORWARD(cuGraphExecDestroy, (void *executable), (executable))
FORWARD(cuGraphDestroy, (void *graph), (graph))
FORWARD(cuEventCreate, (void **event, unsigned flags), (event, flags))
FORWARD(cuEventRecord, (void *event, void *stream), (event, stream))
FORWARD(cuEventSynchronize, (void *event), (event))
FORWARD(cuEventElapsedTime, (float *milliseconds, void *start, void *end), (milliseconds, start, end))
FORWARD(cuEventDestroy_v2, (void *event), (event))

FORWARD(cuModuleLoadData, (void **module, const void *image), (module, image))
FORWARD(cuModuleUnload, (void *module), (module))
FORWARD(cuModuleGetFunction, (void **function, void *module, const char *name), (function, module, name))
FORWARD(cuFuncSetAttribute, (void *function, int attribute, int value), (function, attribute, value))
FORWARD(
    cuLaunchKernel,
    (void *kernel, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY, unsigned blockZ,
     unsigned sharedBytes, void *stream, void **parameters, void **extra),
    (kernel, gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes, stream, parameters, extra))

}  // extern "C"
