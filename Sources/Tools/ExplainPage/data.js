// The data of the page (PageData.swift), unpacked, and the selection that all views share.

const D = JSON.parse(document.getElementById("data").textContent);
const M = D.model, R = D.run, P = D.stored;
const S = M.sides.length, V = M.vocabulary, N = P.candidates;
const counts = M.sides.map(p => p * p);
const first = counts.map((_, s) => sum(counts.slice(0, s)));
const L = sum(counts);
const X = {}; // unpacked arrays

const $ = id => document.getElementById(id);
function sum(list) { return list.reduce((a, b) => a + b, 0); }
function clamp(x, low, high) { return Math.max(low, Math.min(high, x)); }
const grouped = n => n.toLocaleString("en", { maximumFractionDigits: 0 });
const percent = x => x >= 0.0995 ? (100 * x).toFixed(0) + " %" : x >= 0.00095 ? (100 * x).toFixed(1) + " %" : x === 0 ? "0" : "< 0.1 %";
const plural = (n, one, several) => `${grouped(n)} ${n === 1 ? one : several}`;
const entropy = shares => -shares.reduce((h, x) => x > 0 ? h + x * Math.log2(x) : h, 0);

async function bytes(field) {
  const packed = Uint8Array.from(atob(field.zlib), c => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function words(field) { // all low bytes, then all high bytes
  const data = await bytes(field), n = data.length / 2, result = new Uint16Array(n);
  for (let i = 0; i < n; i++) result[i] = data[i] | data[n + i] << 8;
  return result;
}

async function picture(link) {
  const image = new Image();
  image.src = link;
  await image.decode();
  return image;
}

async function unpack() {
  const wide = ["tokens", "below", "difference", "ids", "rest", "ranks", "draws"];
  for (const [name, field] of Object.entries(D.fields)) X[name] = await (wide.includes(name) ? words : bytes)(field);
  X.pictures = await picture(D.pictures);
  X.photo = D.photo ? await picture(D.photo) : null;
}

// One selection of scale and token, settings of the filter, and how the views look.
const state = {
  s: M.refine < S ? M.refine : S >> 1, at: {}, cfg: R.cfg, k: R.topK, p: R.topP,
  mode: "code", block: null, head: null, showVar: false,
};
const middle = p => Math.floor(p / 2) * p + Math.floor(p / 2);
const selected = () => state.at[state.s] ?? middle(M.sides[state.s]);
const place = (token, p) => `row ${Math.floor(token / p)}, column ${token % p}`;

// The address remembers the state, so that a link shows the same.
function readAddress() {
  const wish = new URLSearchParams(location.hash.slice(1)), has = name => wish.has(name) && Number.isFinite(+wish.get(name));
  if (has("scale")) state.s = clamp(Math.round(+wish.get("scale")), 0, S - 1);
  if (has("token")) state.at[state.s] = clamp(Math.round(+wish.get("token")), 0, counts[state.s] - 1);
  if (has("block") && P.blocks.includes(+wish.get("block"))) state.block = +wish.get("block");
  if (has("head") && P.heads.includes(+wish.get("head"))) state.head = +wish.get("head");
  state.showVar = wish.has("var");
  return wish.has("selftest");
}

function writeAddress() {
  const wish = new URLSearchParams({ scale: state.s, token: selected() });
  if (state.block !== null) wish.set("block", state.block);
  if (state.head !== null) wish.set("head", state.head);
  if (state.showVar) wish.set("var", "");
  try { history.replaceState(null, "", "#" + wish); } catch { /* a page inside another may not */ }
}
