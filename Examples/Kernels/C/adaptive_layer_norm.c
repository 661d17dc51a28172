/* Adaptive layer norm, forward and backward; x is [B, N, C], scale and shift are [B, C].
 *
 *     x̂ = (x − mean)/√(variance + ε)      y = x̂·(1 + scale) + shift
 *     dscale = Σₙ dy·x̂      dshift = Σₙ dy
 *     dx = (dx̂ − mean(dx̂) − x̂·mean(dx̂·x̂))/√(variance + ε) with dx̂ = dy·(1 + scale) */

#include <math.h>

#include "kernels.h"

/* Normalizes a row and returns 1/√(variance + ε). */
static float normalize(const float *x, int64_t channels, float epsilon, float *normalized) {
  float sum = 0, squares = 0;
  for (int64_t c = 0; c < channels; c++) sum += x[c];
  float mean = sum / (float)channels;
  for (int64_t c = 0; c < channels; c++) squares += (x[c] - mean) * (x[c] - mean);
  float reciprocal = 1 / sqrtf(squares / (float)channels + epsilon);
  for (int64_t c = 0; c < channels; c++) normalized[c] = (x[c] - mean) * reciprocal;
  return reciprocal;
}

int adaptive_layer_norm(const mvar_call *call) {
  const mvar_tensor *input = mvar_input(call, "x"), *grad = mvar_grad_output(call, "output");
  mvar_tensor *output = mvar_output(call, "output");
  int64_t batch = input->shape[0], tokens = input->shape[1], channels = input->shape[2];
  float epsilon = (float)mvar_number(call, "epsilon", 1e-6);
  float *x = load(input), *scale = load(mvar_input(call, "scale")), *shift = load(mvar_input(call, "shift"));
  float *y = zeros(batch * tokens * channels), *normalized = zeros(channels), *dnormalized = zeros(channels);
  float *dy = grad ? load(grad) : NULL, *dx = zeros(batch * tokens * channels);
  float *dscale = zeros(batch * channels), *dshift = zeros(batch * channels);

  for (int64_t row = 0; row < batch * tokens; row++) {
    int64_t at = row * channels, of = row / tokens * channels;
    float reciprocal = normalize(x + at, channels, epsilon, normalized);
    for (int64_t c = 0; c < channels; c++)
      y[at + c] = fault("swap") ? normalized[c] * (1 + shift[of + c]) + scale[of + c]
                                : normalized[c] * (1 + scale[of + c]) + shift[of + c];
    if (!dy) continue;

    float sum = 0, projection = 0;
    for (int64_t c = 0; c < channels; c++) {
      dscale[of + c] += dy[at + c] * normalized[c];
      dshift[of + c] += dy[at + c];
      dnormalized[c] = dy[at + c] * (1 + scale[of + c]);
      sum += dnormalized[c];
      projection += dnormalized[c] * normalized[c];
    }
    for (int64_t c = 0; c < channels; c++)
      dx[at + c] = (dnormalized[c] - sum / (float)channels - normalized[c] * projection / (float)channels) * reciprocal;
  }

  /* Three faults that only the memory around the tensors, and what was in it before, can show. */
  if (fault("overrun")) mvar_set(output, mvar_count(output), 0);
  if (fault("input")) mvar_set((mvar_tensor *)(uintptr_t)input, 0, 0);
  if (fault("stale")) {
    mvar_tensor all_but_the_last_row = *output;
    int64_t shape[3] = {1, batch * tokens - 1, channels};
    all_but_the_last_row.shape = shape;
    store(&all_but_the_last_row, y);
  } else {
    store(output, y);
  }
  if (dy) {
    store(mvar_gradient(call, "x"), dx);
    store(mvar_gradient(call, "scale"), dscale);
    store(mvar_gradient(call, "shift"), dshift);
  } else {
    free(dx), free(dscale), free(dshift);
  }
  free(x), free(scale), free(shift), free(normalized), free(dnormalized), free(dy);
  return MVAR_OK;
}
