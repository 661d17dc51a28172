/* Removing unlikely logits: rows of V logits, of which the removed ones become −∞. First top-k: those below the k-th
 * largest are removed, ties with it stay. Then top-p: in ascending order (of value, then index), those whose cumulative
 * probability is at most 1 − p are removed; the last always stays. 0 turns either off. Cumulative probabilities are
 * summed in double. */

#include <math.h>

#include "kernels.h"

typedef struct {
  float logit;
  int64_t index;
} candidate;

static int ascending(const void *first, const void *second) {
  const candidate *a = first, *b = second;
  if (a->logit != b->logit) return a->logit < b->logit ? -1 : 1;
  return a->index < b->index ? -1 : a->index > b->index;
}

static void keep_most_likely(float *logits, int64_t width, int64_t k, candidate *order) {
  float threshold = order[width - (k < width ? k : width)].logit;
  for (int64_t v = 0; v < width; v++) {
    if (logits[v] < threshold) logits[v] = -INFINITY;
    if (order[v].logit < threshold) order[v].logit = -INFINITY;
  }
}

static void keep_mass(float *logits, int64_t width, double p, const candidate *order) {
  double largest = order[width - 1].logit, total = 0, cumulative = 0;
  for (int64_t v = 0; v < width; v++) total += exp(logits[v] - largest);
  for (int64_t place = 0; place < width - 1; place++) {
    double before = cumulative;
    cumulative += exp(order[place].logit - largest) / total;
    if ((fault("off-by-one") ? before : cumulative) <= 1 - p) logits[order[place].index] = -INFINITY;
  }
}

int filter_logits(const mvar_call *call) {
  const mvar_tensor *input = mvar_input(call, "logits");
  int64_t width = input->rank > 0 ? input->shape[input->rank - 1] : 1;
  int64_t rows = width > 0 ? mvar_count(input) / width : 0, k = mvar_integer(call, "topK", 0);
  double p = mvar_number(call, "topP", 0);
  float *logits = load(input);
  candidate *order = malloc((size_t)(width > 0 ? width : 1) * sizeof *order);
  for (int64_t row = 0; row < rows; row++) {
    for (int64_t v = 0; v < width; v++) order[v] = (candidate){logits[row * width + v], v};
    qsort(order, (size_t)width, sizeof *order, ascending);
    if (k > 0) keep_most_likely(logits + row * width, width, k, order);
    if (p > 0) keep_mass(logits + row * width, width, p, order);
  }
  free(order);
  store(mvar_output(call, "output"), logits);
  return MVAR_OK;
}
