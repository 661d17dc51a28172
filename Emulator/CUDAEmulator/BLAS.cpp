// The functions of cuBLAS that the engine uses, with the library's own signatures, layout and status codes.
//
// A product is three plain loops over device memory. A caller's mistakes (a stale handle, a column stride smaller than
// a column, types that the library does not combine, a matrix that extends beyond its allocation) return an error; a
// library on a GPU would not detect the last one.

#include <atomic>
#include <cstdint>
#include <string>

#include "CUDAEmulator.h"
#include "Device.hpp"
#include "Graphs.hpp"
#include "Library.hpp"
#include "Memory.hpp"

namespace {

/// cublasStatus_t.
enum Status : int {
  success = 0,
  notInitialized = 1,
  invalidValue = 7,
  executionFailed = 13,
  notSupported = 15,
};

/// cudaDataType.
enum NumberType : int { float32 = 0, bfloat16 = 14 };

/// cublasComputeType_t.
enum ComputeType : int { computeFloat32 = 68, computeTF32 = 77 };

const cudaemu::StatusName statusNames[] = {
    {success, "CUBLAS_STATUS_SUCCESS", "success"},
    {notInitialized, "CUBLAS_STATUS_NOT_INITIALIZED", "the library was not initialized"},
    {invalidValue, "CUBLAS_STATUS_INVALID_VALUE", "an unsupported value or parameter was passed"},
    {executionFailed, "CUBLAS_STATUS_EXECUTION_FAILED", "the GPU program failed to execute"},
    {notSupported, "CUBLAS_STATUS_NOT_SUPPORTED", "the functionality requested is not supported"},
};

/// The settings of a handle.
struct Context {
  void *stream = nullptr;
  void *workspace = nullptr;
  size_t workspaceBytes = 0;
};

cudaemu::Handles &handles = *new cudaemu::Handles;
std::atomic<size_t> products{0};

Status refuse(Status status, const std::string &why) {
  cudaemu::explain("cuBLAS: " + why);
  return status;
}

/// The context of a handle, or null.
Context *find(void *handle) { return handles.contains(handle) ? static_cast<Context *>(handle) : nullptr; }

/// A matrix in device memory: contiguous columns, `stride` elements apart.
struct Matrix {
  void *start;
  int type;
  int rows, columns, stride;

  bool hasRoom() const {
    const size_t size = type == bfloat16 ? 2 : 4;
    if (rows == 0 || columns == 0) return true;
    return cudaemu::isInside(start, (static_cast<size_t>(columns - 1) * stride + rows) * size);
  }
  size_t place(int row, int column) const { return static_cast<size_t>(column) * stride + row; }
};

/// The element at a position as a product of a compute type uses it.
float operand(const Matrix &matrix, int row, int column, int compute) {
  const size_t place = matrix.place(row, column);
  if (matrix.type == bfloat16) {
    return __uint_as_float(static_cast<unsigned>(static_cast<const uint16_t *>(matrix.start)[place]) << 16);
  }
  const float value = static_cast<const float *>(matrix.start)[place];
  return compute == computeTF32 ? __uint_as_float(roundTF32(value)) : value;
}

}  // namespace

extern "C" {

static int cublasCreate_v2(void **handle) {
  if (!handle) return invalidValue;
  if (!cudaemu::isUsable(nullptr)) return notInitialized;
  *handle = new Context;
  handles.add(*handle);
  return success;
}

static int cublasDestroy_v2(void *handle) {
  if (!handles.remove(handle)) return notInitialized;
  delete static_cast<Context *>(handle);
  return success;
}

static int cublasGetProperty(int property, int *value) {
  if (!value || property < 0 || property > 2) return invalidValue;
  *value = property == 0 ? 13 : 0;  // MAJOR_VERSION, MINOR_VERSION, PATCH_LEVEL
  return success;
}

static const char *cublasGetStatusName(int status) {
  const cudaemu::StatusName *known = cudaemu::findName(statusNames, status);
  return known ? known->name : "unknown";
}

static const char *cublasGetStatusString(int status) {
  const cudaemu::StatusName *known = cudaemu::findName(statusNames, status);
  return known ? known->sentence : "unknown";
}

static int cublasSetStream_v2(void *handle, void *stream) {
  Context *const context = find(handle);
  if (!context) return notInitialized;
  if (!cudaemu::isUsable(stream)) return invalidValue;
  // This resets to the library's own workspace, as the manual says.
  *context = {stream, nullptr, 0};
  return success;
}

static int cublasSetWorkspace_v2(void *handle, void *workspace, size_t bytes) {
  Context *const context = find(handle);
  if (!context) return notInitialized;
  if (reinterpret_cast<uintptr_t>(workspace) % 256 != 0) return refuse(invalidValue, "a workspace that is not aligned");
  if (!cudaemu::isInside(workspace, bytes)) return refuse(invalidValue, "a workspace outside device memory");
  context->workspace = workspace;
  context->workspaceBytes = bytes;
  return success;
}

static int cublasSetMathMode(void *handle, int mode) {
  if (!find(handle)) return notInitialized;
  // CUBLAS_DEFAULT_MATH, with or without CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION: sums here are always in
  // float32.
  return mode == 0 || mode == 16 ? success : refuse(notSupported, "a math mode that the emulator does not have");
}

static int cublasGemmEx(void *handle, int transposesA, int transposesB, int rows, int columns, int depth,
                        const void *alpha, const void *a, int typeA, int strideA, const void *b, int typeB,
                        int strideB, const void *beta, void *c, int typeC, int strideC, int compute, int) {
  Context *const context = find(handle);
  if (!context) return notInitialized;
  if (!cudaemu::isUsable(context->stream)) return refuse(executionFailed, "the stream is gone");
  if (context->workspace && !cudaemu::isInside(context->workspace, context->workspaceBytes)) {
    return refuse(executionFailed, "the workspace is gone");
  }
  const bool isFloat32 = typeA == float32 && (compute == computeFloat32 || compute == computeTF32);
  const bool isBFloat16 = typeA == bfloat16 && compute == computeFloat32;
  if (typeA != typeB || typeC != float32 || !(isFloat32 || isBFloat16)) {
    return refuse(notSupported, "types that are not combined");
  }
  if (rows < 0 || columns < 0 || depth < 0) return refuse(invalidValue, "a negative size");
  if ((transposesA | transposesB) & ~1 || !alpha || !beta) return refuse(invalidValue, "an invalid argument");
  const Matrix left{const_cast<void *>(a), typeA, transposesA ? depth : rows, transposesA ? rows : depth, strideA};
  const Matrix right{const_cast<void *>(b), typeB, transposesB ? columns : depth, transposesB ? depth : columns,
                     strideB};
  const Matrix result{c, typeC, rows, columns, strideC};
  for (const Matrix *matrix : {&left, &right, &result}) {
    if (matrix->stride < max(matrix->rows, 1)) return refuse(invalidValue, "columns closer than they are long");
  }
  const float factor = *static_cast<const float *>(alpha), kept = *static_cast<const float *>(beta);
  const int done = cudaemu::perform(context->stream, [=]() -> int {
    for (const Matrix *matrix : {&left, &right, &result}) {
      if (!matrix->hasRoom()) return refuse(executionFailed, "a matrix that is not inside device memory");
    }
    for (int column = 0; column < columns; ++column) {
      for (int row = 0; row < rows; ++row) {
        float sum = 0;
        for (int k = 0; k < depth; ++k) {
          sum += (transposesA ? operand(left, k, row, compute) : operand(left, row, k, compute)) *
                 (transposesB ? operand(right, column, k, compute) : operand(right, k, column, compute));
        }
        float &number = static_cast<float *>(c)[result.place(row, column)];
        // If the old value is not kept, it is not read: it may be anything.
        number = factor * sum + (kept == 0 ? 0 : kept * number);
      }
    }
    ++products;
    return 0;
  });
  return done == 0 ? success : executionFailed;
}

size_t cudaemu_blas_products(void) { return products; }
size_t cudaemu_live_blas_handles(void) { return handles.count(); }

}  // extern "C"

void *cudaemu::findBLASFunction(const char *name) {
  static const Function functions[] = {
      FUNCTION(cublasCreate_v2), FUNCTION(cublasDestroy_v2), FUNCTION(cublasGetProperty),
      FUNCTION(cublasGetStatusName), FUNCTION(cublasGetStatusString), FUNCTION(cublasSetStream_v2),
      FUNCTION(cublasSetWorkspace_v2), FUNCTION(cublasSetMathMode), FUNCTION(cublasGemmEx),
  };
  return findFunction(functions, name);
}
