/* Attention within a window on a map, forward and backward. Query (i, j) sees the keys
 * [w(i), w(i) + window) × [w(j), w(j) + window) with w(i) = clamp(i − ⌊window/2⌋, 0, side − window): the window is
 * shifted inward at the border and has the same size everywhere.
 *
 *     p = softmax(scale·q·k)      o = Σ p·v
 *     dv += p·do      ds = p·(do·v − do·o)      dq += scale·ds·k      dk += scale·ds·q
 *
 * Queries, keys, values and output are [B, H, W, heads, c]. */

#include <math.h>

#include "kernels.h"

typedef struct {
  int64_t batch, height, width, heads, channels, window;
  float scale;
} sizes;

static int64_t window_start(int64_t position, int64_t window, int64_t side) {
  int64_t start = position - (fault("border") ? (window - 1) / 2 : window / 2);
  if (start < 0) start = 0;
  return start > side - window ? side - window : start;
}

static float dot(const float *a, const float *b, int64_t count) {
  float sum = 0;
  for (int64_t c = 0; c < count; c++) sum += a[c] * b[c];
  return sum;
}

/* The rows (of `channels` elements) of the keys that the query of a row sees. */
static void key_rows(const sizes *s, int64_t row, int64_t *rows) {
  int64_t head = row % s->heads, position = row / s->heads;
  int64_t j = position % s->width, i = position / s->width % s->height, b = position / s->width / s->height;
  int64_t top = window_start(i, s->window, s->height), left = window_start(j, s->window, s->width);
  for (int64_t y = 0; y < s->window; y++)
    for (int64_t x = 0; x < s->window; x++)
      *rows++ = ((b * s->height + top + y) * s->width + left + x) * s->heads + head;
}

/* The probabilities of one query. */
static void probabilities(const sizes *s, const float *query, const float *keys, const int64_t *rows, float *p) {
  int64_t count = s->window * s->window;
  float largest = -INFINITY, total = 0;
  for (int64_t m = 0; m < count; m++) {
    p[m] = s->scale * dot(query, keys + rows[m] * s->channels, s->channels);
    if (p[m] > largest) largest = p[m];
  }
  if (fault("no-max")) largest = 0;
  for (int64_t m = 0; m < count; m++) total += p[m] = expf(p[m] - largest);
  for (int64_t m = 0; m < count; m++) p[m] /= total;
}

int windowed_attention(const mvar_call *call) {
  const mvar_tensor *queries = mvar_input(call, "queries"), *keys = mvar_input(call, "keys");
  const mvar_tensor *values = mvar_input(call, "values"), *grad = mvar_grad_output(call, "output");
  const int64_t *shape = queries->shape;
  sizes s = {shape[0], shape[1], shape[2], shape[3], shape[4], mvar_integer(call, "window", 0),
             (float)mvar_number(call, "softmaxScale", 1)};
  int64_t c = s.channels, rows = s.batch * s.height * s.width * s.heads, count = s.window * s.window;
  float *q = load(queries), *k = load(keys), *v = load(values), *o = zeros(rows * c), *p = zeros(count);
  float *dout = grad ? load(grad) : NULL, *dq = zeros(rows * c), *dk = zeros(rows * c), *dv = zeros(rows * c);
  int64_t *seen = malloc((size_t)count * sizeof *seen);

  for (int64_t row = 0; row < rows; row++) {
    key_rows(&s, row, seen);
    probabilities(&s, q + row * c, k, seen, p);
    for (int64_t m = 0; m < count; m++)
      for (int64_t i = 0; i < c; i++) o[row * c + i] += p[m] * v[seen[m] * c + i];
    if (!dout) continue;

    float mean = dot(dout + row * c, o + row * c, c);
    for (int64_t m = 0; m < count; m++) {
      float ds = s.scale * p[m] * (dot(dout + row * c, v + seen[m] * c, c) - mean);
      int64_t key = fault("neighbor") ? seen[(m + 1) % count] : seen[m];
      for (int64_t i = 0; i < c; i++) {
        dv[seen[m] * c + i] += p[m] * dout[row * c + i];
        dq[row * c + i] += ds * k[seen[m] * c + i];
        dk[key * c + i] += ds * q[row * c + i];
      }
    }
  }

  store(mvar_output(call, "output"), o);
  if (dout) {
    store(mvar_gradient(call, "queries"), dq);
    store(mvar_gradient(call, "keys"), dk);
    store(mvar_gradient(call, "values"), dv);
  } else {
    free(dq), free(dk), free(dv);
  }
  free(q), free(k), free(v), free(p), free(dout), free(seen);
  return MVAR_OK;
}
