// The functions of libcublas under their own names. Each passes its arguments on to the emulated function of that name.

#include <cstddef>

#include "Forward.hpp"

extern "C" {

FORWARD(cublasCreate_v2, (void **handle), (handle))
FORWARD(cublasDestroy_v2, (void *handle), (handle))
FORWARD(cublasGetProperty, (int property, int *value), (property, value))
FORWARD_RESULT(const char *, cublasGetStatusName, (int status), (status))
FORWARD_RESULT(const char *, cublasGetStatusString, (int status), (status))
FORWARD(cublasSetStream_v2, (void *handle, void *stream), (handle, stream))
FORWARD(cublasSetWorkspace_v2, (void *handle, void *workspace, size_t bytes), (handle, workspace, bytes))
FORWARD(cublasSetMathMode, (void *handle, int mode), (handle, mode))
FORWARD(
    cublasGemmEx,
    (void *handle, int transposesA, int transposesB, int rows, int columns, int depth, const void *alpha,
     const void *a, int typeA, int strideA, const void *b, int typeB, int strideB, const void *beta, void *c,
     int typeC, int strideC, int compute, int algorithm),
    (handle, transposesA, transposesB, rows, columns, depth, alpha, a, typeA, strideA, b, typeB, strideB, beta, c,
     typeC, strideC, compute, algorithm))

}  // extern "C"
