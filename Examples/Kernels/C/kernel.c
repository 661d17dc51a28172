/* Three kernels in plain C behind the one function that `mvar golden run --library` calls. */

#include "kernels.h"

int mvar_kernel(const mvar_call *call) {
  if (call->version != MVAR_KERNEL_VERSION) return MVAR_FAILED;
  /* These kernels compute in float, which is not enough here. */
  if (call->input_count > 0 && call->inputs[0].dtype == MVAR_FLOAT64) return MVAR_NOT_SUPPORTED;
  if (mvar_is(call, "neighborhoodAttention")) return windowed_attention(call);
  if (mvar_is(call, "adaptiveLayerNorm")) return adaptive_layer_norm(call);
  if (mvar_is(call, "filterLogits")) return filter_logits(call);
  return MVAR_NOT_SUPPORTED;
}
