// What three patterns cost, by the formulas of `mvar mask` and `mvar flops` (TransformerCost.swift): VAR, scale-Markov and
// MVAR, in this order.

const squares = sides => sides.map(p => p * p);

/** Keys of a token of each scale. */
function keysPerQuery(kind, sides, k, refine) {
  const n = squares(sides);
  return n.map((x, s) => kind === 0 ? sum(n.slice(0, s + 1)) : kind === 2 && s >= refine ? k * k : x);
}

/** Query–key pairs. */
const pairs = (kind, sides, k, refine) => {
  const keys = keysPerQuery(kind, sides, k, refine);
  return sum(squares(sides).map((n, s) => n * keys[s]));
};

/** Multiply-accumulates of one image, without guidance. */
function products(kind, sides, k, refine, size) {
  const length = sum(squares(sides)), C = size.width, depth = size.blocks;
  const attention = 2 * depth * C * pairs(kind, sides, k, refine); // queries · keys, weights · values
  const attentionBlocks = attention + depth * length * 3 * C * C; // and the qkv projection
  const rest = depth * length * 9 * C * C // output projection, feed-forward
    + (length - 1) * size.codeWidth * C + length * C * size.vocabulary // word embedding, head
    + (size.sharesModulation ? 1 : depth) * 6 * C * C + 2 * C * C; // AdaLN
  return { attention, attentionBlocks, transformer: attentionBlocks + rest };
}

/** Bytes of keys and values at the end of sampling one image with guidance, in single precision. */
const cacheBytes = (kind, sides, size) => kind === 0 ? 2 * sum(squares(sides)) * size.width * size.blocks * 2 * 4 : 0;

/** Bytes of activations at the peak of sampling one image with guidance, in single precision. */
function activationBytes(kind, sides, k, refine, size) {
  const rows = 2, C = size.width, Z = size.codeWidth, map = sides.at(-1) ** 2;
  const keys = keysPerQuery(kind, sides, k, refine);
  const condition = rows * (1 + 6 * size.blocks + 2) * C, total = Z * map;
  return 4 * Math.max(...squares(sides).map((n, s) => {
    const moments = [
      rows * n * 8 * C, // heads are split
      rows * n * (C + size.vocabulary), // the head
      n * 2 * size.vocabulary, // the filter
      n * size.vocabulary + Z * (n + 2 * map), // Φ
      (rows + 1) * n * size.vocabulary, // guidance
    ];
    if (kind === 0) moments.push(rows * (5 * n + 2 * (keys[s] - n)) * C); // the cache grows
    return condition + total + (s === 0 ? 0 : rows * n * Z) + Math.max(...moments);
  }));
}

/** Whether query q sees key r, for the pattern of that number. */
function seer(sides, k, refine) {
  const scale = [], row = [], column = [];
  sides.forEach((p, s) => { for (let i = 0; i < p * p; i++) { scale.push(s); row.push(Math.floor(i / p)); column.push(i % p); } });
  const see = (kind, q, r) => {
    const s = scale[q];
    if (kind === 0) return scale[r] <= s;
    if (scale[r] !== s) return false;
    if (kind === 1 || s < refine) return true;
    const y = row[r] - start(row[q], sides[s], k), x = column[r] - start(column[q], sides[s], k);
    return y >= 0 && y < k && x >= 0 && x < k;
  };
  return [see, scale.length];
}
