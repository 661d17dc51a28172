/* Attention within a window on a map, with a backward as many GPU kernels have it: instead of adding to the gradients of all
 * keys that a query sees, each key collects from the queries that see it, so that no two threads add to the same number.
 *
 *     p = exp(scale·q·k − ℓ)      ds = scale·p·(do·v − do·o)
 *     dq = Σ ds·k over the keys of a query      dk = Σ ds·q and dv = Σ p·do over the queries of a key
 *
 * There is a fault in it. The article "Backward of windowed attention" looks for it with the judge. Queries, keys, values
 * and output are [B, H, W, heads, c]; double precision throughout, so that no rounding hides anything. */

#include <math.h>
#include <stdlib.h>

#include "mvar_kernel.h"

typedef struct {
  int64_t batch, height, width, heads, channels, window;
  double scale;
} sizes;

/* The first row (or column) of keys that a query sees. */
static int64_t first_key(int64_t query, int64_t window, int64_t side) {
  int64_t first = query - window / 2;
  if (first < 0) first = 0;
  return first > side - window ? side - window : first;
}

/* The first and the last row (or column) of queries that see a key. */
static int64_t first_query(int64_t key, int64_t window, int64_t side) {
  (void)side;
  return key < window / 2 ? 0 : key - window / 2;
}
static int64_t last_query(int64_t key, int64_t window, int64_t side) {
  return key + window / 2 >= side ? side - 1 : key + window / 2;
}

static double dot(const mvar_tensor *a, int64_t row_a, const mvar_tensor *b, int64_t row_b, int64_t count) {
  double sum = 0;
  for (int64_t c = 0; c < count; c++) sum += mvar_get(a, row_a * count + c) * mvar_get(b, row_b * count + c);
  return sum;
}

int mvar_kernel(const mvar_call *call) {
  if (!mvar_is(call, "neighborhoodAttention")) return MVAR_NOT_SUPPORTED;
  const mvar_tensor *q = mvar_input(call, "queries"), *k = mvar_input(call, "keys"), *v = mvar_input(call, "values");
  const mvar_tensor *grad = mvar_grad_output(call, "output");
  const int64_t *shape = q->shape;
  sizes s = {shape[0], shape[1], shape[2], shape[3], shape[4], mvar_integer(call, "window", 0),
             mvar_number(call, "softmaxScale", 1)};
  int64_t rows = s.batch * s.height * s.width * s.heads;
  double *output = calloc((size_t)(rows * s.channels), sizeof *output);
  double *sums = calloc((size_t)rows, sizeof *sums), *means = calloc((size_t)rows, sizeof *means);
  if (!output || !sums || !means) return MVAR_FAILED;
#define ROW(b, i, j, head) ((((b) * s.height + (i)) * s.width + (j)) * s.heads + (head))
#define FOR(name, first, end) for (int64_t name = (first); name < (end); name++)

  /* Forward: o, ℓ = ln Σ exp(scale·q·k), and do·o, for every query. */
  FOR(b, 0, s.batch) FOR(i, 0, s.height) FOR(j, 0, s.width) FOR(head, 0, s.heads) {
    int64_t query = ROW(b, i, j, head), top = first_key(i, s.window, s.height), left = first_key(j, s.window, s.width);
    double largest = -INFINITY, total = 0;
    FOR(y, top, top + s.window) FOR(x, left, left + s.window)
      largest = fmax(largest, s.scale * dot(q, query, k, ROW(b, y, x, head), s.channels));
    FOR(y, top, top + s.window) FOR(x, left, left + s.window)
      total += exp(s.scale * dot(q, query, k, ROW(b, y, x, head), s.channels) - largest);
    sums[query] = largest + log(total);
    FOR(y, top, top + s.window) FOR(x, left, left + s.window) {
      int64_t key = ROW(b, y, x, head);
      double p = exp(s.scale * dot(q, query, k, key, s.channels) - sums[query]);
      FOR(c, 0, s.channels) output[query * s.channels + c] += p * mvar_get(v, key * s.channels + c);
    }
    FOR(c, 0, s.channels) {
      mvar_set(mvar_output(call, "output"), query * s.channels + c, output[query * s.channels + c]);
      if (grad) means[query] += mvar_get(grad, query * s.channels + c) * output[query * s.channels + c];
    }
  }

  /* Backward of queries: each collects from the keys that it sees. */
  if (grad) FOR(b, 0, s.batch) FOR(i, 0, s.height) FOR(j, 0, s.width) FOR(head, 0, s.heads) {
    int64_t query = ROW(b, i, j, head), top = first_key(i, s.window, s.height), left = first_key(j, s.window, s.width);
    FOR(c, 0, s.channels) {
      double sum = 0;
      FOR(y, top, top + s.window) FOR(x, left, left + s.window) {
        int64_t key = ROW(b, y, x, head);
        double p = exp(s.scale * dot(q, query, k, key, s.channels) - sums[query]);
        sum += s.scale * p * (dot(grad, query, v, key, s.channels) - means[query]) * mvar_get(k, key * s.channels + c);
      }
      mvar_set(mvar_gradient(call, "queries"), query * s.channels + c, sum);
    }
  }

  /* Backward of keys and values: each collects from the queries that see it. */
  if (grad) FOR(b, 0, s.batch) FOR(y, 0, s.height) FOR(x, 0, s.width) FOR(head, 0, s.heads) {
    int64_t key = ROW(b, y, x, head);
    FOR(c, 0, s.channels) {
      double dk = 0, dv = 0;
      FOR(i, first_query(y, s.window, s.height), last_query(y, s.window, s.height) + 1)
      FOR(j, first_query(x, s.window, s.width), last_query(x, s.window, s.width) + 1) {
        int64_t query = ROW(b, i, j, head);
        double p = exp(s.scale * dot(q, query, k, key, s.channels) - sums[query]);
        double ds = s.scale * p * (dot(grad, query, v, key, s.channels) - means[query]);
        dk += ds * mvar_get(q, query * s.channels + c);
        dv += p * mvar_get(grad, query * s.channels + c);
      }
      mvar_set(mvar_gradient(call, "keys"), key * s.channels + c, dk);
      mvar_set(mvar_gradient(call, "values"), key * s.channels + c, dv);
    }
  }
  free(output), free(sums), free(means);
  return MVAR_OK;
}
