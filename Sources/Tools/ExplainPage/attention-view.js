// What a token looks at: its keys in one block and head, all blocks and heads at once, and what VAR would let it see.

/** The color of each place of the map. */
function heat(s, token, weights) {
  const known = new Map(keysOf(s, token).map((key, i) => [key, weights[i]])), peak = Math.max(...weights, 1e-9);
  const [from, to, none] = [css("--own-soft"), css("--own"), css("--empty")];
  return i => known.has(i) ? mixed(from, to, Math.sqrt(known.get(i) / peak)) : none;
}

function drawAttention() {
  const s = state.s, p = M.sides[s], token = selected(), k = M.window, half = Math.floor(k / 2);
  const weights = attentionOf(s, token, state.block, state.head), keys = keysOf(s, token);
  const y = Math.floor(token / p), x = token % p;
  const box = windowed(s) ? { top: start(y, p, k), left: start(x, p, k), side: k } : null;
  const moved = box && (box.top !== y - half || box.left !== x - half);
  cells($("c-att"), p, heat(s, token, weights), { selected: token, box, ghost: moved ? { top: y - half, left: x - half, side: k } : null });
  $("c-att").dataset.keys = keys.length;
  const itself = keys.indexOf(token), best = [...weights.keys()].sort((a, b) => weights[b] - weights[a] || a - b).slice(0, 3);
  const text = `${plural(keys.length, "key", "keys")}. To itself ${percent(weights[itself])}; most to ${best.map(i => `${place(keys[i], p)} (${percent(weights[i])})`).join("; ")}.`;
  $("c-att").setAttribute("aria-label", `Attention of the token at ${place(token, p)} of scale ${s}: ${text} Arrow keys move.`);
  const rule = i => `clamp(${i} − ${half}, 0, ${p} − ${k}) = ${start(i, p, k)}`;
  fill("n-att", text, " Color grows with the square root.", ...(box ? [
    element("br"), "First row ", code(`w(${y}) = ${rule(y)}`), element("br"), "First column ", code(`w(${x}) = ${rule(x)}`),
    ...(moved ? [element("br"), "Dashed: where a window centered on the token would lie."] : []),
  ] : []));
  $("n-rule").textContent = windowed(s)
    ? `Scale ${s} is windowed: a token sees ${k} × ${k} places around it. Select a token near a border: the window stops there, and the token is no longer in its middle.`
    : counts[s] === 1 ? `Scale ${s} has one token, which sees only itself. Choose a later scale.`
      : `Scale ${s} is dense: every token sees all ${counts[s]} of its scale, and none of any other. ${S > M.refine ? `Scales ${M.refine} to ${S - 1} have windows.` : ""}`;
  $("n-small").textContent = box ? "the window alone" : "the whole map";
  drawHeads(s, token, itself, box ? k : p);
  $("block").value = state.block ?? "";
  $("head").value = state.head ?? "";
  drawVar();
}

const headGap = 4, headEdge = { left: 26, top: 18 };
const headSize = width => Math.min(66, (width - headEdge.left - headGap * P.heads.length) / P.heads.length);

function drawHeads(s, token, itself, side) {
  const box = Math.max(8, $("c-heads").clientWidth), each = headSize(box), step = each + headGap;
  const [c] = surface($("c-heads"), (headEdge.top + P.blocks.length * step) / box);
  const [from, to, soft, mark] = [css("--own-soft"), css("--own"), css("--soft"), css("--mark")];
  c.font = "11px system-ui, sans-serif";
  c.textAlign = "center";
  c.textBaseline = "middle";
  c.fillStyle = soft;
  P.heads.forEach((head, h) => c.fillText(head, headEdge.left + h * step + each / 2, 8));
  P.blocks.forEach((block, b) => {
    c.fillStyle = soft;
    c.fillText(block, 10, headEdge.top + b * step + each / 2);
    P.heads.forEach((head, h) => {
      const row = rowOf(s, b, h, token), peak = Math.max(...row, 1e-9), size = each / side;
      const left = headEdge.left + h * step, top = headEdge.top + b * step;
      row.forEach((x, i) => {
        c.fillStyle = mixed(from, to, Math.sqrt(x / peak));
        c.fillRect(left + i % side * size, top + Math.floor(i / side) * size, size + .3, size + .3);
      });
      c.fillStyle = mark;
      c.beginPath();
      c.arc(left + (itself % side + .5) * size, top + (Math.floor(itself / side) + .5) * size, clamp(size / 6, 1, 3), 0, 7);
      c.fill();
      const chosen = (state.block ?? block) === block && (state.head ?? head) === head;
      if (chosen && (state.block !== null || state.head !== null)) {
        c.strokeStyle = mark;
        c.lineWidth = 2;
        c.strokeRect(left - 1, top - 1, each + 2, each + 2);
      }
    });
  });
  $("c-heads").setAttribute("aria-label", `Attention of ${P.blocks.length} blocks and ${P.heads.length} heads; the lists Block and Head choose one`);
}

function drawVar() {
  $("var").checked = state.showVar;
  $("var-box").hidden = !state.showVar;
  if (!state.showVar) return;
  const s = state.s, token = selected(), seen = new Set(keysOf(s, token)), rows = M.sides[S - 1];
  const box = Math.max(8, $("c-var").clientWidth), gap = Math.min(8, box / 4 / S), size = (box - gap * S) / sum(M.sides);
  const [c, , height] = surface($("c-var"), (rows * size + 20) / box), colors = ["--own", "--var", "--empty"].map(css);
  let left = 0;
  c.font = "11px system-ui, sans-serif";
  c.textAlign = "center";
  M.sides.forEach((p, i) => {
    const top = (rows - p) * size / 2, cell = Math.max(size - .6, .6);
    for (let n = 0; n < p * p; n++) {
      c.fillStyle = colors[i === s && seen.has(n) ? 0 : i <= s ? 1 : 2];
      c.fillRect(left + n % p * size, top + Math.floor(n / p) * size, cell, cell);
    }
    if (i === s) {
      c.fillStyle = css("--mark");
      c.fillRect(left + token % p * size, top + Math.floor(token / p) * size, Math.max(cell, 1.5), Math.max(cell, 1.5));
    }
    c.fillStyle = css("--soft");
    c.fillText(i, left + Math.max(p * size / 2, 4), height - 4);
    left += p * size + gap;
  });
  const all = first[s] + counts[s];
  fill("n-var", "VAR: ", bold(grouped(all)), ` keys, all of scales 0 to ${s}. ${M.refine < S ? "MVAR" : "Here"}: `, bold(grouped(seen.size)), ". The token itself is black, in the dark white.");
  $("c-var").setAttribute("aria-label", `VAR would let it see ${all} keys, MVAR ${seen.size}`);
}

function wireAttention() {
  const part = P.blocks.length * P.heads.length < M.blocks * M.heads;
  $("t-heads").textContent = part
    ? `${P.blocks.length} of ${plural(M.blocks, "block", "blocks")}, ${P.heads.length} of ${plural(M.heads, "head", "heads")}` : "Every block and head at once";
  for (const [id, stored] of [["block", P.blocks], ["head", P.heads]]) {
    $(id).append(element("option", { value: "" }, `mean of ${stored.length}`), ...stored.map(i => element("option", { value: i }, String(i))));
    $(id).onchange = event => { state[id] = event.target.value === "" ? null : +event.target.value; drawAttention(); writeAddress(); };
  }
  $("c-heads").addEventListener("pointerdown", event => {
    const box = $("c-heads").getBoundingClientRect(), step = headSize(box.width) + headGap;
    const h = Math.floor((event.clientX - box.left - headEdge.left) / step), b = Math.floor((event.clientY - box.top - headEdge.top) / step);
    if (h >= P.heads.length || b >= P.blocks.length) return;
    Object.assign(state, { block: b < 0 ? null : P.blocks[b], head: h < 0 ? null : P.heads[h] });
    drawAttention();
    writeAddress();
  });
  for (const id of ["c-att", "c-tok"]) {
    $(id).addEventListener("pointerdown", event => {
      const box = $(id).getBoundingClientRect(), p = M.sides[state.s];
      const at = (x, length) => clamp(Math.floor(x / length * p), 0, p - 1);
      select(at(event.clientY - box.top, box.height) * p + at(event.clientX - box.left, box.width));
    });
  }
  $("c-att").addEventListener("keydown", event => {
    const token = moveFrom(event);
    if (token !== null) select(token);
  });
  $("var").onchange = event => { state.showVar = event.target.checked; drawVar(); writeAddress(); };
  const rest = M.window - Math.floor(M.window / 2);
  $("n-corner").textContent = `only ${rest ** 2} of its ${M.window ** 2} keys`;
}
