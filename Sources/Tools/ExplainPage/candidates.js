// From stored logits to probabilities: guidance, top-k and top-p, and the draw. The filter is that of StoredCandidates.swift,
// which makes sure that it keeps the very candidates that the run kept.
//
// Where a page stores a part of the candidates, `rest` is the probability of all others together, as a multiple of that of
// the run's likeliest, whose logit is 0 here.

const distances = new Float64Array(65536); // what a stored number means: how far below the largest logit

function prepareDistances() {
  for (let code = 0; code < 65536; code++) distances[code] = Math.expm1(code / P.fine);
}

/** t = cfg · s / (S − 1); the sampler takes a guidance of 1 as none. */
const strength = (cfg, s) => cfg === 1 || !R.canBeGuided ? 0 : cfg * s / (S - 1);

const codeOf = (i, n) => X.ids ? X.ids[i * N + n] : n;

/** Logits of token i of all L, `more` being the strength above the run's own. */
function logitsOf(i, more) {
  const result = new Float64Array(N), step = more / P.differenceSteps;
  for (let n = 0; n < N; n++) result[n] = -distances[X.below[i * N + n]];
  if (X.difference && more !== 0) for (let n = 0; n < N; n++) result[n] += step * (X.difference[i * N + n] - 32768);
  return result;
}

const massOf = code => code === 0 ? 0 : Math.exp(code / P.restSteps - P.restShift);

/** What all candidates that are not stored have together, between the stored strengths on a straight line of logarithms. */
function restOf(i, s, t) {
  if (!P.isPart) return 0;
  const columns = P.grid.length + 2, at = column => X.rest[i * columns + column];
  const known = [[-1, at(0)], ...P.grid.map((cfg, column) => [strength(cfg, s), at(column + 1)])].sort((a, b) => a[0] - b[0]);
  const above = known.findIndex(([x]) => x >= t);
  if (above <= 0) return massOf(known[above < 0 ? known.length - 1 : 0][1]);
  const [[x0, y0], [x1, y1]] = [known[above - 1], known[above]];
  return massOf(x1 === t ? y1 : y0 + (y1 - y0) * (t - x0) / (x1 - x0));
}

/** Whether the token's own code is stored although likelier ones are not. */
const endsWithOutsider = i => P.isPart && X.ranks[i] > N;

function softmax(logits, rest) { // → shares of the logits, and of the rest
  const top = logits.reduce((a, b) => Math.max(a, b), 0), weights = logits.map(x => Math.exp(x - top));
  rest *= Math.exp(-top);
  let total = rest;
  for (const x of weights) total += x;
  return [weights.map(x => x / total), rest / total];
}

/** Removed logits become −∞. → what is left, and the probability of the rest before normalization */
function filter(i, logits, rest, k, p) {
  const kept = logits.slice(), known = endsWithOutsider(i) ? N - 1 : N;
  const order = [...kept.keys()].sort((a, b) => kept[b] - kept[a] || b - a);
  if (k > 0 && (!P.isPart || k <= known)) {
    const threshold = kept[order[Math.min(k, N) - 1]];
    for (let n = 0; n < N; n++) if (kept[n] < threshold) kept[n] = -Infinity;
    rest = 0;
  } else if (k > 0 && endsWithOutsider(i) && X.ranks[i] > k) {
    kept[N - 1] = -Infinity;
  }
  if (!(p > 0)) return [kept, rest];
  const [shares, others] = softmax(kept, rest);
  let total = others;
  if (total > 1 - p) return [kept, rest * (total - (1 - p)) / total];
  for (const n of order.slice(1).reverse()) { // ascending; the largest stays
    total += shares[n];
    if (total > 1 - p) break;
    kept[n] = -Infinity;
  }
  return [kept, 0];
}

/** Everything about one token at the settings of the sliders. */
function inspect(s, token) {
  const i = first[s] + token, t = strength(state.cfg, s), run = strength(R.cfg, s);
  const at = strength => softmax(logitsOf(i, strength - run), restOf(i, s, strength))[0];
  const logits = logitsOf(i, t - run), rest = restOf(i, s, t);
  // With the run's own top-k, what it removes is known even where it is not stored.
  const remaining = P.isPart && state.cfg === R.cfg && state.k === R.topK ? massOf(X.rest[(i + 1) * (P.grid.length + 2) - 1]) : rest;
  const [kept, others] = filter(i, logits, remaining, state.k, state.p), [final, unknown] = softmax(kept, others);
  const drawn = X.ids ? X.ids.subarray(i * N, i * N + N).indexOf(X.tokens[i]) : X.tokens[i];
  return {
    i, t, run, drawn, code: X.tokens[i], final, unknown,
    none: at(-1), conditional: at(0), guided: softmax(logits, rest)[0],
    left: kept.reduce((n, x) => n + (x > -Infinity), 0),
  };
}

/** The random number of a token, 0 … 1. */
const randomOf = i => (X.draws[i] * 65536 + X.draws[L + i] + 0.5) / 2 ** 32;

/** The first candidate, in the order of codes, whose cumulative probability exceeds the random number. */
function draw(r) {
  const u = randomOf(r.i);
  let total = 0;
  for (let n = 0; n < N; n++) {
    total += r.final[n];
    if (total > u) return n;
  }
  return r.final.findLastIndex(x => x > 0);
}

/** Whether the sliders are where the run was. */
const isAsInRun = () => state.cfg === R.cfg && (state.k || V) === (R.topK || V) && (state.p || 1) === (R.topP || 1);
