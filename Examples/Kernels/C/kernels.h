/* What the three kernels share: float copies of tensors, and faults that can be planted.
 *
 * The kernels compute in float whatever the type of the tensors; what they store is rounded to that type. */
#ifndef KERNELS_H
#define KERNELS_H

#include <stdlib.h>

#include "mvar_kernel.h"

int windowed_attention(const mvar_call *call);
int adaptive_layer_norm(const mvar_call *call);
int filter_logits(const mvar_call *call);

/* Whether the environment variable MVAR_FAULT asks for this fault, to see how it is found. */
static inline int fault(const char *name) {
  const char *wanted = getenv("MVAR_FAULT");
  return wanted && strcmp(wanted, name) == 0;
}

/* `count` zeros; the caller frees them. */
static inline float *zeros(int64_t count) {
  float *values = (float *)calloc((size_t)(count > 0 ? count : 1), sizeof(float));
  if (!values) abort();
  return values;
}

/* The elements of a tensor as floats; the caller frees them. */
static inline float *load(const mvar_tensor *tensor) {
  float *values = zeros(mvar_count(tensor));
  for (int64_t i = 0; i < mvar_count(tensor); i++) values[i] = (float)mvar_get(tensor, i);
  return values;
}

/* Stores floats, rounded to the type of the tensor, and frees them. */
static inline void store(mvar_tensor *tensor, float *values) {
  for (int64_t i = 0; i < mvar_count(tensor); i++) mvar_set(tensor, i, values[i]);
  free(values);
}

#endif
