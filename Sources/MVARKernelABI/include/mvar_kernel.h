/* The interface of a kernel that `mvar golden run --library` judges: one C function in a shared library.
 *
 *     #include "mvar_kernel.h"
 *
 *     int mvar_kernel(const mvar_call *call) {
 *       if (!mvar_is(call, "silu")) return MVAR_NOT_SUPPORTED;
 *       const mvar_tensor *x = mvar_input(call, "x");
 *       mvar_tensor *y = mvar_output(call, "output");
 *       for (int64_t i = 0; i < mvar_count(x); i++) {
 *         double v = mvar_get(x, i);
 *         mvar_set(y, i, v / (1 + exp(-v)));
 *       }
 *       return MVAR_OK;
 *     }
 *
 *     cc -O2 -shared -fPIC -I …/Sources/MVARKernelABI/include kernel.c -o kernel.so -lm
 *     mvar golden run --library ./kernel.so --operator silu --forward-only
 *
 * C99 and C++11. Everything except `mvar_kernel` is defined here; nothing has to be linked.
 *
 * The call is made in a process of its own. All tensors are row-major without gaps. Around every buffer there are
 * 4096 bytes or more of 0xFF, which are NaN in every floating-point type and -1 as integers: what is read outside of a
 * buffer shows in the results, and what is written there is found after the call. Outputs and gradients are filled
 * with 0xFF before the call, so that an element that is never written is found as well. Inputs must not change. */
#ifndef MVAR_KERNEL_H
#define MVAR_KERNEL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of these declarations, which a call states as well. */
#define MVAR_KERNEL_VERSION 1

/* What `mvar_kernel` returns. Any other value is a failure, which is reported with the last line that was written to
 * standard error. */
enum { MVAR_OK = 0, MVAR_FAILED = 1, MVAR_NOT_SUPPORTED = 77 };

/* The type of a tensor's elements. */
enum {
  MVAR_FLOAT64 = 1,
  MVAR_FLOAT32 = 2,
  /* Stored as float32; the inputs have 10 fraction bits, and factors of products may be rounded to as many. */
  MVAR_TF32 = 3,
  MVAR_BFLOAT16 = 4,
  MVAR_FLOAT16 = 5,
  /* Tokens, codes, targets, rows of a table. */
  MVAR_INT64 = 6
};

/* A tensor: row-major, without gaps, aligned to 64 bytes. */
typedef struct mvar_tensor {
  /* The contract's name, as `mvar golden list` prints it: "queries". A single output is "output". */
  const char *name;
  /* MVAR_FLOAT64 … MVAR_INT64 */
  int32_t dtype;
  /* The number of axes; 0 for a single number. */
  int32_t rank;
  /* `rank` side lengths, slowest-varying first. */
  const int64_t *shape;
  /* The elements; those of inputs and of gradients of outputs are only to be read. */
  void *data;
} mvar_tensor;

/* What an attribute holds. */
enum {
  /* A count, a size, an axis: `integer`, and the same in `number`. */
  MVAR_INTEGER = 1,
  /* A factor, a probability, an epsilon: `number`. */
  MVAR_NUMBER = 2,
  /* One of several modes: `text`. */
  MVAR_TEXT = 3,
  /* Several numbers: `numbers`. A range is [lower, upper); spans of attention are four numbers each: the range of the
   * queries and that of the keys. */
  MVAR_NUMBERS = 4
};

/* An argument besides tensors: window, softmaxScale, epsilon. */
typedef struct mvar_attribute {
  const char *name;
  /* MVAR_INTEGER … MVAR_NUMBERS */
  int32_t kind;
  /* How many there are in `numbers`. */
  int32_t count;
  int64_t integer;
  double number;
  /* Ends with a zero byte; empty unless it is a text. */
  const char *text;
  const double *numbers;
} mvar_attribute;

/* One case of one operator. Everything in it belongs to the caller and is valid during the call. */
typedef struct mvar_call {
  /* MVAR_KERNEL_VERSION of the caller. */
  int32_t version;
  /* The numbers of elements of the arrays below. */
  int32_t attribute_count, input_count, output_count, grad_output_count, gradient_count;
  /* The operator: "neighborhoodAttention". */
  const char *operator_name;
  /* The case, for messages. */
  const char *case_name;
  const mvar_attribute *attributes;
  const mvar_tensor *inputs;
  /* To be written: the results of the forward. */
  mvar_tensor *outputs;
  /* The gradient of each output, with the output's name; none for an operator without a backward. */
  const mvar_tensor *grad_outputs;
  /* To be written: the gradient of each input that has one, with the input's name. A kernel without a backward leaves
   * them as they are, and is run with --forward-only. */
  mvar_tensor *gradients;
} mvar_call;

/* The function that a library exports. */
#if defined(_WIN32)
__declspec(dllexport)
#elif defined(__GNUC__)
__attribute__((visibility("default")))
#endif
int mvar_kernel(const mvar_call *call);

/* --- Finding things by name ------------------------------------------------------------------------------------- */

/* Whether the call is for this operator. */
static inline int mvar_is(const mvar_call *call, const char *operator_name) {
  return strcmp(call->operator_name, operator_name) == 0;
}

static inline mvar_tensor *mvar_find_tensor(const mvar_tensor *tensors, int32_t count, const char *name) {
  for (int32_t i = 0; i < count; i++)
    if (strcmp(tensors[i].name, name) == 0) return (mvar_tensor *)(uintptr_t)&tensors[i];
  return NULL;
}

/* The input with this name; NULL if there is none, as for an optional one that is not given. */
static inline const mvar_tensor *mvar_input(const mvar_call *call, const char *name) {
  return mvar_find_tensor(call->inputs, call->input_count, name);
}

/* The output with this name; NULL if there is none. */
static inline mvar_tensor *mvar_output(const mvar_call *call, const char *name) {
  return mvar_find_tensor(call->outputs, call->output_count, name);
}

/* The gradient of the output with this name; NULL if no gradients are wanted. */
static inline const mvar_tensor *mvar_grad_output(const mvar_call *call, const char *name) {
  return mvar_find_tensor(call->grad_outputs, call->grad_output_count, name);
}

/* Where the gradient of the input with this name goes; NULL if it is not wanted. */
static inline mvar_tensor *mvar_gradient(const mvar_call *call, const char *name) {
  return mvar_find_tensor(call->gradients, call->gradient_count, name);
}

/* The attribute with this name; NULL if there is none. */
static inline const mvar_attribute *mvar_find_attribute(const mvar_call *call, const char *name) {
  for (int32_t i = 0; i < call->attribute_count; i++)
    if (strcmp(call->attributes[i].name, name) == 0) return &call->attributes[i];
  return NULL;
}

/* The value of an integer attribute; `otherwise` if there is none. */
static inline int64_t mvar_integer(const mvar_call *call, const char *name, int64_t otherwise) {
  const mvar_attribute *attribute = mvar_find_attribute(call, name);
  return attribute && attribute->kind == MVAR_INTEGER ? attribute->integer : otherwise;
}

/* The value of a numeric attribute; `otherwise` if there is none. */
static inline double mvar_number(const mvar_call *call, const char *name, double otherwise) {
  const mvar_attribute *attribute = mvar_find_attribute(call, name);
  return attribute && (attribute->kind == MVAR_NUMBER || attribute->kind == MVAR_INTEGER) ? attribute->number
                                                                                           : otherwise;
}

/* --- Elements --------------------------------------------------------------------------------------------------- */

/* The number of elements: the product of the side lengths. */
static inline int64_t mvar_count(const mvar_tensor *tensor) {
  int64_t count = 1;
  for (int32_t i = 0; i < tensor->rank; i++) count *= tensor->shape[i];
  return count;
}

/* The bytes of an element; 0 for a type that this version does not know. */
static inline size_t mvar_width(int32_t dtype) {
  switch (dtype) {
    case MVAR_FLOAT64: case MVAR_INT64: return 8;
    case MVAR_FLOAT32: case MVAR_TF32: return 4;
    case MVAR_BFLOAT16: case MVAR_FLOAT16: return 2;
    default: return 0;
  }
}

/* bfloat16 to float, exactly. */
static inline float mvar_float_from_bfloat16(uint16_t half) {
  uint32_t bits = (uint32_t)half << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* float to bfloat16, to nearest, ties to even; NaN stays NaN, what is too large becomes infinite. */
static inline uint16_t mvar_bfloat16_from_float(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)((bits >> 16) | 0x40u);
  return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/* IEEE half precision to float, exactly. */
static inline float mvar_float_from_float16(uint16_t half) {
  uint32_t sign = (uint32_t)(half & 0x8000u) << 16, magnitude = (uint32_t)(half & 0x7fffu) << 13, bits;
  float value;
  if (magnitude >= 0x0f800000u) {
    bits = sign | (magnitude + 0x70000000u);
    memcpy(&value, &bits, sizeof value);
    return value;
  }
  /* Multiplying by 2^112 moves the exponent from bias 15 to bias 127, for subnormal numbers as well. */
  bits = magnitude;
  memcpy(&value, &bits, sizeof value);
  value *= 5192296858534827628530496329220096.0f;
  memcpy(&bits, &value, sizeof bits);
  bits |= sign;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* float to IEEE half precision, to nearest, ties to even; NaN stays NaN, what is too large becomes infinite. */
static inline uint16_t mvar_float16_from_float(float value) {
  uint32_t bits, magnitude;
  uint16_t sign;
  memcpy(&bits, &value, sizeof bits);
  sign = (uint16_t)((bits >> 16) & 0x8000u);
  magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return (uint16_t)(sign | 0x7e00u);
  if (magnitude >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u);
  if (magnitude < 0x38800000u) {
    /* Subnormal: the sum's last bit is 2^-24, and adding rounds to it. */
    float sum;
    memcpy(&sum, &magnitude, sizeof sum);
    sum += 0.5f;
    memcpy(&bits, &sum, sizeof bits);
    return (uint16_t)(sign | (bits - 0x3f000000u));
  }
  return (uint16_t)(sign | ((magnitude + 0xfffu + ((magnitude >> 13) & 1u) - 0x38000000u) >> 13));
}

/* Element i in row-major order, as a double, exactly. */
static inline double mvar_get(const mvar_tensor *tensor, int64_t i) {
  switch (tensor->dtype) {
    case MVAR_FLOAT64: return ((const double *)tensor->data)[i];
    case MVAR_FLOAT32: case MVAR_TF32: return ((const float *)tensor->data)[i];
    case MVAR_BFLOAT16: return mvar_float_from_bfloat16(((const uint16_t *)tensor->data)[i]);
    case MVAR_FLOAT16: return mvar_float_from_float16(((const uint16_t *)tensor->data)[i]);
    case MVAR_INT64: return (double)((const int64_t *)tensor->data)[i];
    default: return 0;
  }
}

/* Sets element i in row-major order, rounded to the tensor's type (to half types through float). */
static inline void mvar_set(mvar_tensor *tensor, int64_t i, double value) {
  switch (tensor->dtype) {
    case MVAR_FLOAT64: ((double *)tensor->data)[i] = value; break;
    case MVAR_FLOAT32: case MVAR_TF32: ((float *)tensor->data)[i] = (float)value; break;
    case MVAR_BFLOAT16: ((uint16_t *)tensor->data)[i] = mvar_bfloat16_from_float((float)value); break;
    case MVAR_FLOAT16: ((uint16_t *)tensor->data)[i] = mvar_float16_from_float((float)value); break;
    case MVAR_INT64: ((int64_t *)tensor->data)[i] = (int64_t)value; break;
    default: break;
  }
}

#ifdef __cplusplus
}
#endif

#endif
