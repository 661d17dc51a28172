// One token: its map, its candidates with and without guidance and filter, the draw, and the sliders.

const own = R.isPhoto ? "photo" : "drawn"; // what marks the token's own code
const stops = [...new Set([1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1000])]
  .filter(k => k < V && (!P.isPart || k < N)).concat(R.topK && R.topK < V ? [R.topK] : [], [V])
  .filter((k, i, all) => all.indexOf(k) === i).sort((a, b) => a - b);
const modes = [
  ["code", "the code " + (R.isPhoto ? "of the photograph" : "drawn")], ["entropy", "entropy after the filter"],
  ["left", "candidates left"], ["p", `probability of the ${own === "drawn" ? "drawn code" : "photograph’s code"}`],
  ["rank", `rank of the ${own === "drawn" ? "drawn code" : "photograph’s code"}`],
];
const atLeast = r => `${r.unknown > 0 ? "at least " : ""}${grouped(r.left)}`;
const bits = x => x.toFixed(2) + " bits";
/** The place of the token's own code by guided probability, 1 for the likeliest. */
const rankOf = r => P.isPart ? X.ranks[r.i] : 1 + r.guided.reduce((n, x) => n + (x > r.guided[r.drawn]), 0);

/** The colors of the map, and what full color means. */
function mapColors() {
  const s = state.s, token = selected();
  if (state.mode === "code") return [i => codeColor(X.tokens[first[s] + i]), ""];
  const value = {
    entropy: r => entropy(r.final), left: r => r.left, p: r => r.final[r.drawn], rank: rankOf,
  }[state.mode];
  const unit = { entropy: bits, left: x => plural(x, "candidate", "candidates"), p: percent, rank: x => "rank " + grouped(x) }[state.mode];
  const values = Array.from({ length: counts[s] }, (_, i) => value(inspect(s, i)));
  const high = state.mode === "p" ? 1 : Math.max(...values, 1e-9), low = state.mode === "rank" ? 1 : 0;
  const share = x => high > low ? (state.mode === "rank" ? Math.log(x) / Math.log(high) : (x - low) / (high - low)) : 0;
  return [i => mixed(css("--own-soft"), css("--own"), share(values[i])), ` Full color: ${unit(high)}; this token: ${unit(values[token])}.`];
}

/** The map as a grid of buttons, so that every cell can be reached and read without a mouse. */
function buildMap() {
  const s = state.s, p = M.sides[s];
  if ($("map").dataset.scale === String(s)) return;
  $("map").dataset.scale = s;
  $("map").className = p > 24 ? "dense" : "";
  $("map").style.gridTemplateColumns = `repeat(${p}, minmax(0, 1fr))`;
  $("map").setAttribute("aria-label", `Tokens of scale ${s}, ${p} by ${p}. Arrow keys move.`);
  const rows = Array.from({ length: p }, (_, y) => element("div", { role: "row" }, ...Array.from({ length: p }, (_, x) => {
    const token = y * p + x, label = `${place(token, p)}, code ${X.tokens[first[s] + token]}`;
    return element("button", { type: "button", role: "gridcell", "data-token": token, "aria-label": label, tabindex: -1 });
  })));
  $("map").replaceChildren(...rows);
}

const cell = token => $("map").children[Math.floor(token / M.sides[state.s])].children[token % M.sides[state.s]];

function drawMap() {
  buildMap();
  const [color, note] = mapColors(), token = selected(), s = state.s;
  for (let i = 0; i < counts[s]; i++) {
    const button = cell(i);
    button.style.background = color(i);
    button.tabIndex = i === token ? 0 : -1;
    button.setAttribute("aria-selected", i === token);
  }
  return note;
}

function drawToken() {
  const s = state.s, p = M.sides[s], token = selected(), note = drawMap(), r = inspect(s, token);
  const ranks = [...r.guided.keys()].sort((a, b) => r.guided[b] - r.guided[a] || a - b);
  const rank = rankOf(r), how = R.isPhoto ? `the photograph has code ` : `code `;
  fill("n-map", `Scale ${s}, ${place(token, p)}: ${how}`, bold(r.code), R.isPhoto
    ? `, number ${grouped(rank)} of ${grouped(V)} for the model, which gives it ${percent(r.guided[r.drawn])}.` : " was drawn.", note);
  const t = !R.canBeGuided ? "" : state.cfg === 1 ? "0 (off)" : `${state.cfg.toFixed(1)} · ${s} / ${S - 1} = ${r.t.toFixed(2)}`;
  fill("n-formula", ...(R.canBeGuided ? [code(`t = cfg · s / (S − 1) = ${t}`), element("br"), code("guided = (1 + t) · conditional − t · null"), element("br"), "Then "] : ["First "]),
    !state.k || state.k >= V ? "all stay (no top-k)" : `the ${grouped(state.k)} largest stay`,
    !state.p || state.p >= 1 ? "" : `, and of these the smallest that make up at most ${(1 - state.p).toFixed(2)} go`, ": ", bold(atLeast(r)), " left.");
  showSliders();
  drawBars(r, ranks);
  drawStats(r, rank);
  drawDraw(r);
  drawRanks(r, ranks, rank);
}

function showSliders() {
  $("cfg").value = state.cfg;
  $("o-cfg").textContent = state.cfg === 1 ? "1 (off)" : state.cfg.toFixed(1);
  $("k").value = stops.indexOf(!state.k || state.k > V ? V : state.k);
  $("o-k").textContent = !state.k || state.k >= V ? "all" : state.k;
  $("k").setAttribute("aria-valuetext", $("o-k").textContent);
  $("p").value = state.p || 1;
  $("o-p").textContent = !state.p || state.p >= 1 ? "all" : state.p.toFixed(2);
}

/** The five likeliest candidates, and the token's own. */
function drawBars(r, ranks) {
  const shown = ranks.slice(0, 5);
  if (!shown.includes(r.drawn)) shown.push(r.drawn);
  const bar = (x, color) => element("td", {}, element("div", { class: "bar" },
    element("i", { style: `width:${(100 * x).toFixed(1)}%;background:var(${color})` }), element("span", {}, percent(x))));
  const head = text => element("th", { scope: "col" }, ...text);
  const columns = R.canBeGuided
    ? [[["null"], "none", "--pale"], [["cond", element("span", { class: "long" }, "itional")], "conditional", "--grey"], [["guided"], "guided", "--var"]]
    : [[["model"], "guided", "--grey"]];
  const rows = shown.map(n => {
    const name = element("td", {}, element("span", { class: "swatch", style: `background:${codeColor(codeOf(r.i, n))}` }), String(codeOf(r.i, n)));
    if (n === r.drawn) name.append(element("span", { class: "tag" }, own));
    const last = r.final[n] === 0 ? element("td", {}, element("span", { class: "note" }, "removed")) : bar(r.final[n], "--own");
    return element("tr", { class: n === r.drawn ? "drawn" : "", "data-code": codeOf(r.i, n) }, name, ...columns.map(([, key, color]) => bar(r[key][n], color)), last);
  });
  fill("bars", element("table", { class: "bars" }, element("thead", {}, element("tr", {}, head(["Code"]), ...columns.map(([text]) => head(text)), head(["filtered"]))), element("tbody", {}, ...rows)));
}

function drawStats(r, rank) {
  const stat = (value, text) => element("div", {}, bold(value), text);
  const whole = P.isPart ? "" : null, list = [stat(`${atLeast(r)} of ${grouped(V)}`, "candidates survive the filter")];
  if (R.isPhoto) list.push(stat(`${grouped(rank)} of ${grouped(V)}`, "rank of the photograph’s code"), stat((-Math.log2(r.conditional[r.drawn])).toFixed(2) + " bits", "the model pays for the photograph’s code, not guided"));
  if (whole === null) {
    if (R.canBeGuided) list.push(stat(bits(entropy(r.conditional)), "entropy, conditional"));
    list.push(stat(bits(entropy(r.guided)), R.canBeGuided ? "entropy, guided" : "entropy"));
  }
  if (!(r.unknown > 0)) list.push(stat(bits(entropy(r.final)), "entropy after the filter"));
  fill("stats", ...list);
}

/** The cumulative bar and where the random number falls. */
function drawDraw(r) {
  $("draw").hidden = R.isPhoto || r.unknown > 0 || P.isPart;
  if ($("draw").hidden) return;
  const [c, width, height] = surface($("c-draw"), 34 / Math.max(200, $("c-draw").clientWidth)), u = randomOf(r.i);
  const hit = isAsInRun() ? r.drawn : draw(r);
  let total = 0, shade = 0;
  for (let n = 0; n < N; n++) {
    if (r.final[n] === 0) continue;
    c.fillStyle = n === hit ? css("--own") : css(shade++ % 2 ? "--pale" : "--line");
    c.fillRect(total * width, 4, Math.max(r.final[n] * width - (r.final[n] * width > 3 ? 1 : 0), 0.5), 18);
    total += r.final[n];
  }
  c.fillStyle = css("--mark");
  c.beginPath();
  c.moveTo(u * width, 20);
  c.lineTo(u * width - 5, height - 1);
  c.lineTo(u * width + 5, height - 1);
  c.fill();
  const text = `The random number of this token is ${u.toFixed(4)}. The code in whose part of the bar it falls is drawn: ${hit}.`;
  $("n-draw").textContent = text + (hit === r.drawn ? "" : ` With the settings of the run it was ${r.code}.`);
  $("c-draw").setAttribute("aria-label", text);
}

function drawRanks(r, ranks, rank) {
  const [c, width, height] = surface($("c-rank"), Math.min(.34, 130 / Math.max(200, $("c-rank").clientWidth)));
  const y = x => clamp(Math.log10(Math.max(x, 1e-30)) / -7, 0, 1) * (height - 16) + 4, each = (width - 40) / N;
  c.font = "11px system-ui, sans-serif";
  c.textBaseline = "middle";
  for (const [power, name] of [[0, "1"], [-2, "10⁻²"], [-4, "10⁻⁴"], [-6, "10⁻⁶"]]) {
    c.strokeStyle = css("--line");
    c.lineWidth = .5;
    c.beginPath();
    c.moveTo(38, y(10 ** power));
    c.lineTo(width, y(10 ** power));
    c.stroke();
    c.fillStyle = css("--soft");
    c.fillText(name, 6, y(10 ** power) + 2);
  }
  const [survives, removed] = [css("--own"), css("--grey")];
  ranks.forEach((n, i) => {
    const top = y(r.guided[n]);
    c.fillStyle = r.final[n] > 0 ? survives : removed;
    if (r.guided[n] > 1e-7) c.fillRect(40 + i * each, top, Math.max(each - .3, .8), height - 10 - top);
  });
  c.fillStyle = css("--mark");
  const x = 40 + (ranks.indexOf(r.drawn) + .5) * each;
  c.beginPath();
  c.moveTo(x, height - 9);
  c.lineTo(x - 5, height);
  c.lineTo(x + 5, height);
  c.fill();
  $("c-rank").setAttribute("aria-label", `${atLeast(r)} of ${V} candidates survive`);
  fill("l-rank", element("span", {}, element("i", { class: "much" }), "survive"), element("span", {}, element("i", { class: "removed" }), "removed"),
    element("span", {}, `▲ the ${R.isPhoto ? "photograph’s" : "drawn"} code, number ${grouped(rank)} by ${R.canBeGuided ? "guided " : ""}probability`));
}

function moveFrom(event) { // → the token that an arrow key leads to
  const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  if (!move || event.ctrlKey || event.metaKey || event.altKey) return null;
  event.preventDefault();
  event.stopPropagation();
  const p = M.sides[state.s], token = selected();
  return clamp(Math.floor(token / p) + move[0], 0, p - 1) * p + clamp(token % p + move[1], 0, p - 1);
}

function wireTokens() {
  $("map").addEventListener("click", event => {
    const button = event.target.closest("button");
    if (button) select(+button.dataset.token);
  });
  $("map").addEventListener("keydown", event => {
    const token = moveFrom(event);
    if (token === null) return;
    select(token);
    cell(token).focus();
  });
  $("mode").append(...modes.map(([value, text]) => element("option", { value }, text)));
  $("mode").onchange = event => { state.mode = event.target.value; drawToken(); };
  $("cfg").min = Math.min(0, Math.floor(R.cfg));
  $("cfg").max = Math.max(8, Math.ceil(R.cfg));
  // A range shows steps only: a run with other settings has finer ones.
  if (Math.abs(R.cfg * 10 - Math.round(R.cfg * 10)) > 1e-9) $("cfg").step = "any";
  if (Math.abs(R.topP * 100 - Math.round(R.topP * 100)) > 1e-9) $("p").step = "any";
  $("p").min = Math.min(0.05, R.topP || 1);
  $("k").max = stops.length - 1;
  $("l-cfg").hidden = $("why-guidance").hidden = !R.canBeGuided;
  $("cfg").oninput = event => { state.cfg = +event.target.value; drawToken(); };
  $("k").oninput = event => { state.k = stops[event.target.value] === V ? 0 : stops[event.target.value]; drawToken(); };
  $("p").oninput = event => { state.p = +event.target.value; drawToken(); };
  $("reset").onclick = () => { Object.assign(state, { cfg: R.cfg, k: R.topK, p: R.topP }); drawToken(); };
}
