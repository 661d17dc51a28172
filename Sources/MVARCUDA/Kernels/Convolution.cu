// Two-dimensional convolution as in PyTorch: channels first, weight [out, in, height, width], zero padding.
//
// Forward and both gradients are matrix products in which at least one operand is gathered from a map as it is needed:
// the patches are never unfolded in memory. The tiles are those of product.cuh, in three precisions: `Float32`, and on
// tensor cores `TF32` and `BF16`.
//
// Sizes are passed as one list of integer parameters, the same for all kernels here: batch, inputs (I), height (H),
// width (W), outputs (O), kernelHeight (h), kernelWidth (w), outputHeight (H'), outputWidth (W'), stride, top, left.
// B·max(I, O)·max(H·W, H'·W') may exceed 32 bits; B·H·W, B·H'·W', I·h·w and O·h·w may not.

#include "product.cuh"
#include "reductions.cuh"

/// Division by an invariant divisor, as a multiplication and a shift: for 0 ≤ n < 2³¹ and s = ⌈log₂ d⌉,
/// ⌊n/d⌋ = (⌊n·m/2³²⌋ + n) >> s with m = ⌊2³²·(2ˢ − d)/d⌋ + 1 (Granlund and Montgomery, PLDI 1994).
struct Divisor {
  unsigned divisor, multiplier, shift;

  explicit __device__ __forceinline__ Divisor(int value) {
    divisor = static_cast<unsigned>(value);
    shift = value > 1 ? 32 - __clz(divisor - 1) : 0;
    multiplier = static_cast<unsigned>((1ull << 32) * ((1ull << shift) - divisor) / divisor + 1);
  }
  /// The quotient; the remainder replaces `remainder`.
  __device__ __forceinline__ int divide(int value, int &remainder) const {
    const unsigned n = static_cast<unsigned>(value);
    const unsigned quotient = (__umulhi(n, multiplier) + n) >> shift;
    remainder = static_cast<int>(n - quotient * divisor);
    return static_cast<int>(quotient);
  }
};

/// All sizes of a convolution.
struct Sizes {
  int batch, inputs, height, width, outputs, kernelHeight, kernelWidth, outputHeight, outputWidth, stride, top, left;

  __device__ __forceinline__ int taps() const { return kernelHeight * kernelWidth; }
  __device__ __forceinline__ int plane() const { return height * width; }
  __device__ __forceinline__ int outputPlane() const { return outputHeight * outputWidth; }
};

#define SIZE_PARAMETERS                                                                                              \
  int batch, int inputs, int height, int width, int outputs, int kernelHeight, int kernelWidth, int outputHeight,    \
      int outputWidth, int stride, int top, int left
#define SIZES                                                                                                        \
  Sizes {                                                                                                            \
    batch, inputs, height, width, outputs, kernelHeight, kernelWidth, outputHeight, outputWidth, stride, top, left   \
  }

/// The patches of x: row n is output position (b, i, j), depth k is (c, u, v); at = x[b, c, i·stride + u − top, …].
struct Patches {
  static constexpr bool depthIsContiguous = false;
  struct Row {
    const float *sample;
    int i, j;
  };
  const float *x;
  const Sizes sizes;
  const Divisor outputPlane, outputWidth, taps, kernelWidth;

  __device__ __forceinline__ Patches(const float *x, const Sizes &sizes)
      : x(x), sizes(sizes), outputPlane(sizes.outputPlane()), outputWidth(sizes.outputWidth), taps(sizes.taps()),
        kernelWidth(sizes.kernelWidth) {}

  __device__ __forceinline__ Row row(int index) const {
    int position, column;
    const int sample = outputPlane.divide(index, position);
    const int line = outputWidth.divide(position, column);
    return {x + static_cast<long long>(sample) * sizes.inputs * sizes.plane(), line * sizes.stride - sizes.top,
            column * sizes.stride - sizes.left};
  }
  __device__ __forceinline__ float at(const Row &row, int k) const {
    int tap, v;
    const int channel = taps.divide(k, tap);
    const int u = kernelWidth.divide(tap, v);
    const int i = row.i + u, j = row.j + v;
    // Reinterpreted as unsigned, negative values are too large as well.
    if (static_cast<unsigned>(i) >= static_cast<unsigned>(sizes.height) ||
        static_cast<unsigned>(j) >= static_cast<unsigned>(sizes.width)) {
      return 0;
    }
    return row.sample[static_cast<long long>(channel) * sizes.plane() + i * sizes.width + j];
  }
};

/// The patches transposed: row n is (c, u, v), depth k is the output position (b, i, j).
struct PatchesByTap {
  static constexpr bool depthIsContiguous = true;
  struct Row {
    int index;
  };
  const Patches patches;

  __device__ __forceinline__ Row row(int index) const { return {index}; }
  __device__ __forceinline__ float at(const Row &row, int k) const {
    return patches.at(patches.row(k), row.index);
  }
};

/// The output's gradient by channel: row m is channel o, depth k is the position (b, i, j).
struct GradientByChannel {
  static constexpr bool depthIsContiguous = true;
  struct Row {
    int channel;
  };
  const float *dy;
  const int outputs;
  const Divisor outputPlane;

  __device__ __forceinline__ Row row(int index) const { return {index}; }
  __device__ __forceinline__ float at(const Row &row, int k) const {
    int position;
    const int sample = outputPlane.divide(k, position);
    return dy[(static_cast<long long>(sample) * outputs + row.channel) * outputPlane.divisor + position];
  }
};

/// The gradient that reaches an input: row n is input position (b, y, x), depth k is (o, u, v); at = dy[b, o, i, j]
/// where i·stride + u − top = y and j·stride + v − left = x for some output (i, j), else 0.
struct GradientPatches {
  static constexpr bool depthIsContiguous = false;
  struct Row {
    const float *sample;
    int y, x;
  };
  const float *dy;
  const Sizes sizes;
  const Divisor plane, width, taps, kernelWidth, stride;

  __device__ __forceinline__ GradientPatches(const float *dy, const Sizes &sizes)
      : dy(dy), sizes(sizes), plane(sizes.plane()), width(sizes.width), taps(sizes.taps()),
        kernelWidth(sizes.kernelWidth), stride(sizes.stride) {}

  __device__ __forceinline__ Row row(int index) const {
    int position, column;
    const int sample = plane.divide(index, position);
    const int line = width.divide(position, column);
    return {dy + static_cast<long long>(sample) * sizes.outputs * sizes.outputPlane(), line + sizes.top,
            column + sizes.left};
  }
  __device__ __forceinline__ float at(const Row &row, int k) const {
    int tap, v, restI, restJ;
    const int channel = taps.divide(k, tap);
    const int u = kernelWidth.divide(tap, v);
    if (row.y < u || row.x < v) return 0;
    const int i = stride.divide(row.y - u, restI), j = stride.divide(row.x - v, restJ);
    if (restI != 0 || restJ != 0 || i >= sizes.outputHeight || j >= sizes.outputWidth) return 0;
    return row.sample[static_cast<long long>(channel) * sizes.outputPlane() + i * sizes.outputWidth + j];
  }
};

/// The weight by input channel: row m is channel c, depth k is (o, u, v); at = weight[o, c, u, v].
struct WeightByInput {
  static constexpr bool depthIsContiguous = true;
  struct Row {
    int channel;
  };
  const float *weight;
  const int inputs;
  const Divisor taps;

  __device__ __forceinline__ Row row(int index) const { return {index}; }
  __device__ __forceinline__ float at(const Row &row, int k) const {
    int tap;
    const int output = taps.divide(k, tap);
    return weight[(static_cast<long long>(output) * inputs + row.channel) * taps.divisor + tap];
  }
};

/// Writes a map: row is a channel, column a position (b, i, j).
struct MapOutput {
  float *y;
  const float *bias;
  const int channels;
  const Divisor plane;

  __device__ __forceinline__ void operator()(int row, int column, float value) const {
    int position;
    const int sample = plane.divide(column, position);
    y[(static_cast<long long>(sample) * channels + row) * plane.divisor + position] = value + (bias ? bias[row] : 0.0f);
  }
};

/// Writes a part of the weight's gradient.
struct WeightOutput {
  float *dWeight;
  const int columns;

  __device__ __forceinline__ void operator()(int row, int column, float value) const {
    dWeight[static_cast<long long>(row) * columns + column] = value;
  }
};

template <class Precision>
static __device__ __forceinline__ void forward(float *y, const float *x, const float *weight, const float *bias,
                                               const Sizes &sizes) {
  const int depth = sizes.inputs * sizes.taps();
  Precision::run(MatrixOperand<true>{weight, depth}, Patches(x, sizes),
                 {sizes.outputs, sizes.batch * sizes.outputPlane(), 0, depth},
                 MapOutput{y, bias, sizes.outputs, Divisor(sizes.outputPlane())});
}

template <class Precision>
static __device__ __forceinline__ void inputGradient(float *dx, const float *dy, const float *weight,
                                                     const Sizes &sizes) {
  Precision::run(WeightByInput{weight, sizes.inputs, Divisor(sizes.taps())}, GradientPatches(dy, sizes),
                 {sizes.inputs, sizes.batch * sizes.plane(), 0, sizes.outputs * sizes.taps()},
                 MapOutput{dx, nullptr, sizes.inputs, Divisor(sizes.plane())});
}

template <class Precision>
static __device__ __forceinline__ void weightGradient(float *parts, const float *dy, const float *x,
                                                      int positionsPerPart, const Sizes &sizes) {
  const int columns = sizes.inputs * sizes.taps();
  const int first = blockIdx.z * positionsPerPart;
  const int end = min(first + positionsPerPart, sizes.batch * sizes.outputPlane());
  Precision::run(GradientByChannel{dy, sizes.outputs, Divisor(sizes.outputPlane())}, PatchesByTap{Patches(x, sizes)},
                 {sizes.outputs, columns, first, end},
                 WeightOutput{parts + static_cast<long long>(blockIdx.z) * sizes.outputs * columns, columns});
}

/// convolution…: y[b, o, i, j] = bias[o] + Σ weight[o, c, u, v]·x[b, c, i·stride + u − top, j·stride + v − left]
///
/// - y [B, O, H', W']
/// - x [B, I, H, W]
/// - weight [O, I, h, w]
/// - bias [O], or null for none
/// - grid (⌈B·H'·W'/128⌉, ⌈O/128⌉); block 256
#define CONVOLUTION(precision)                                                                                       \
  KERNEL(convolution##precision, float *y, const float *x, const float *weight, const float *bias, SIZE_PARAMETERS) {\
    forward<precision>(y, x, weight, bias, SIZES);                                                                   \
  }

/// dConvolutionInput…: dx[b, c, i·stride + u − top, j·stride + v − left] += weight[o, c, u, v]·dy[b, o, i, j], gathered
/// per input.
///
/// - dx [B, I, H, W]
/// - dy [B, O, H', W']
/// - weight [O, I, h, w]
/// - grid (⌈B·H·W/128⌉, ⌈I/128⌉); block 256
#define DCONVOLUTION_INPUT(precision)                                                                                \
  KERNEL(dConvolutionInput##precision, float *dx, const float *dy, const float *weight, SIZE_PARAMETERS) {           \
    inputGradient<precision>(dx, dy, weight, SIZES);                                                                 \
  }

/// dConvolutionWeight…: dWeight[o, c, u, v] = Σ dy[b, o, i, j]·x[b, c, i·stride + u − top, j·stride + v − left], in
/// parts.
///
/// The sum is long and the result small, so the positions (b, i, j) are split into parts, each with its own result;
/// `columnSums` (Elementwise.cu) adds them up in order.
///
/// - dWeightParts [parts, O, I, h, w], parts = ⌈B·H'·W'/positionsPerPart⌉ ≤ 65535
/// - dy [B, O, H', W']
/// - x [B, I, H, W]
/// - grid (⌈I·h·w/128⌉, ⌈O/128⌉, parts); block 256
#define DCONVOLUTION_WEIGHT(precision)                                                                               \
  KERNEL(dConvolutionWeight##precision, float *dWeightParts, const float *dy, const float *x, int positionsPerPart,  \
         SIZE_PARAMETERS) {                                                                                          \
    weightGradient<precision>(dWeightParts, dy, x, positionsPerPart, SIZES);                                         \
  }

CONVOLUTION(Float32)
CONVOLUTION(TF32)
CONVOLUTION(BF16)
DCONVOLUTION_INPUT(Float32)
DCONVOLUTION_INPUT(TF32)
DCONVOLUTION_INPUT(BF16)
DCONVOLUTION_WEIGHT(Float32)
DCONVOLUTION_WEIGHT(TF32)
DCONVOLUTION_WEIGHT(BF16)

/// sums[b, c] = Σ x[b, c, p]: with `columnSums` over the batch, the gradient of a bias per channel.
///
/// - sums [planes], planes = batch·channels
/// - x [planes, positions]
/// - grid: planes; block 256: one block per plane
KERNEL(planeSums, float *sums, const float *x, int positions) {
  const long long plane = blockIdx.x;
  float sum = 0;
  for (int position = threadIdx.x; position < positions; position += BLOCK) sum += x[plane * positions + position];
  sum = reduceBlock<Sum>(sum);
  if (threadIdx.x == 0) sums[plane] = sum;
}
