// The linear layer y = x Wᵀ + b and its gradients: three matrix products that differ in which sides are transposed.
//
// Each exists in four variants, distinguished by the suffix of the name: `Float32` with tiles of 128 × 128,
// `Float32Small` with tiles of 64 × 64 for few rows or columns, and on tensor cores `TF32` and `BF16` with tiles of
// 128 × 128, whose operands are rounded and whose sums are float32. Inputs and outputs are always float32.
//
// - grid (⌈columns/tile⌉, ⌈rows/tile⌉, batch) for a result [rows, columns]; block 256
//
// `roundToBF16` prepares operands for a library that computes the products instead.
//
// The operands of `batch` products are at fixed distances (the `…Step` parameters; 0 for an operand that all share); a
// layer has one product.

#include "product.cuh"

/// y[r, o] = alpha·Σᵢ x[r, i]·W[o, i] + b[o]
struct Forward {
  using A = MatrixOperand<true>;
  using B = MatrixOperand<true>;
};
/// dx[r, i] = Σₒ dy[r, o]·W[o, i]
struct Input {
  using A = MatrixOperand<true>;
  using B = MatrixOperand<false>;
};
/// dW[o, i] = Σᵣ dy[r, o]·x[r, i]
struct Weight {
  using A = MatrixOperand<false>;
  using B = MatrixOperand<false>;
};

/// Writes a product: c[row, column] = alpha·value + bias[column].
struct MatrixOutput {
  float *c;
  const float *bias;
  float alpha;
  int columns;

  __device__ __forceinline__ void operator()(int row, int column, float value) const {
    c[static_cast<long long>(row) * columns + column] = alpha * value + (bias ? bias[column] : 0.0f);
  }
};

/// The product of this block's batch element.
template <class Kind, class Precision>
static __device__ __forceinline__ void product(float *c, const float *a, const float *b, const float *bias, float alpha,
                                               int rows, int columns, int depth, long long stepC, long long stepA,
                                               long long stepB) {
  const typename Kind::A operandA{a + blockIdx.z * stepA, Kind::A::depthIsContiguous ? depth : rows};
  const typename Kind::B operandB{b + blockIdx.z * stepB, Kind::B::depthIsContiguous ? depth : columns};
  Precision::run(operandA, operandB, {rows, columns, 0, depth},
                 MatrixOutput{c + blockIdx.z * stepC, bias, alpha, columns});
}

/// linear…: y[r, o] = alpha·Σᵢ x[r, i]·W[o, i] + b[o]
///
/// - y [rows, outputs]
/// - x [rows, inputs]
/// - weight [outputs, inputs]
/// - bias [outputs], or null for none
/// - the grid's columns are `outputs`
#define LINEAR(precision)                                                                                              \
  KERNEL(linear##precision, float *y, const float *x, const float *weight, const float *bias, float alpha, int rows,   \
         int outputs, int inputs, long long yStep, long long xStep, long long weightStep) {                            \
    product<Forward, precision>(y, x, weight, bias, alpha, rows, outputs, inputs, yStep, xStep, weightStep);           \
  }

/// dLinearInput…: dx[r, i] = alpha·Σₒ dy[r, o]·W[o, i]
///
/// - dx [rows, inputs]
/// - dy [rows, outputs]
/// - weight [outputs, inputs]
/// - the grid's columns are `inputs`
#define DLINEAR_INPUT(precision)                                                                                       \
  KERNEL(dLinearInput##precision, float *dx, const float *dy, const float *weight, float alpha, int rows, int inputs,  \
         int outputs, long long dxStep, long long dyStep, long long weightStep) {                                      \
    product<Input, precision>(dx, dy, weight, nullptr, alpha, rows, inputs, outputs, dxStep, dyStep, weightStep);      \
  }

/// dLinearWeight…: dW[o, i] = alpha·Σᵣ dy[r, o]·x[r, i]
///
/// - dWeight [outputs, inputs]
/// - dy [rows, outputs]
/// - x [rows, inputs]
/// - the grid's rows are `outputs`, its columns `inputs`
#define DLINEAR_WEIGHT(precision)                                                                                      \
  KERNEL(dLinearWeight##precision, float *dWeight, const float *dy, const float *x, float alpha, int outputs,          \
         int inputs, int rows, long long dWeightStep, long long dyStep, long long xStep) {                             \
    product<Weight, precision>(dWeight, dy, x, nullptr, alpha, outputs, inputs, rows, dWeightStep, dyStep, xStep);     \
  }

LINEAR(Float32)
LINEAR(Float32Small)
LINEAR(TF32)
LINEAR(BF16)
DLINEAR_INPUT(Float32)
DLINEAR_INPUT(Float32Small)
DLINEAR_INPUT(TF32)
DLINEAR_INPUT(BF16)
DLINEAR_WEIGHT(Float32)
DLINEAR_WEIGHT(Float32Small)
DLINEAR_WEIGHT(TF32)
DLINEAR_WEIGHT(BF16)

/// words[i] = x[2i] and x[2i + 1] rounded to bfloat16, the first in the low half: the values in order.
///
/// - words [⌈count/2⌉]; an odd count is padded with a zero
/// - x [count]
/// - any one-dimensional grid; block 256
KERNEL(roundToBF16, unsigned *words, const float *x, long long count) {
  for (long long i = GRID_FIRST; 2 * i < count; i += GRID_STEP) {
    words[i] = packBF16(x[2 * i], 2 * i + 1 < count ? x[2 * i + 1] : 0.0f);
  }
}
