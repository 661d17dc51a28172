#include <math.h>

#include "mvar_kernel.h"

/* y = x·s and dx = dy·s·(1 + x·(1 − s)) with s = 1/(1 + e⁻ˣ) */
int mvar_kernel(const mvar_call *call) {
  if (!mvar_is(call, "silu")) return MVAR_NOT_SUPPORTED;
  const mvar_tensor *x = mvar_input(call, "x"), *dy = mvar_grad_output(call, "output");
  mvar_tensor *y = mvar_output(call, "output"), *dx = mvar_gradient(call, "x");
  for (int64_t i = 0; i < mvar_count(x); i++) {
    double v = mvar_get(x, i), s = 1 / (1 + exp(-v));
    mvar_set(y, i, v * s);
    mvar_set(dx, i, mvar_get(dy, i) * s * (1 + v * (1 - s)));
  }
  return MVAR_OK;
}
