// The keys that a token sees and how much attention each gets. Weights are stored as the square roots of their shares of a
// row's largest, in few steps; since a row adds up to 1, that is enough.

const windowed = s => s >= M.refine;
const start = (i, p, k) => clamp(i - Math.floor(k / 2), 0, p - k);
const keyCount = s => windowed(s) ? M.window ** 2 : counts[s];

/** The keys of a token, as places of its own map. */
function keysOf(s, token) {
  const p = M.sides[s];
  if (!windowed(s)) return Array.from({ length: p * p }, (_, i) => i);
  const k = M.window, top = start(Math.floor(token / p), p, k), left = start(token % p, p, k);
  return Array.from({ length: k * k }, (_, i) => (top + Math.floor(i / k)) * p + left + i % k);
}

const pairsOf = P.blocks.length * P.heads.length;
const attentionStart = counts.map((_, s) => pairsOf * sum(counts.slice(0, s).map((n, i) => n * keyCount(i))));

/** The weights of keysOf(s, token), by the places of block and head among those that are stored. */
function rowOf(s, block, head, token) {
  const n = keyCount(s), at = attentionStart[s] + ((block * P.heads.length + head) * counts[s] + token) * n;
  const squares = Array.from(X.attention.subarray(at, at + n), code => code * code), total = sum(squares);
  return squares.map(x => x / total);
}

/** The weights for the chosen block and head; null stands for the mean. */
function attentionOf(s, token, block, head) {
  const places = (stored, one) => [...stored.keys()].filter(i => one === null || stored[i] === one);
  const blocks = places(P.blocks, block), heads = places(P.heads, head), mean = new Float64Array(keyCount(s));
  for (const b of blocks) for (const h of heads) rowOf(s, b, h, token).forEach((x, i) => mean[i] += x / blocks.length / heads.length);
  return mean;
}
