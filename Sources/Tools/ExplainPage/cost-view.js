// Masks of the three patterns, and what they cost, for any list of scales.

const kinds = [["VAR", "--var", "all scales up to its own"], ["Scale-Markov", "--own", "its own scale only"], ["MVAR", "--own", "its own scale, fine ones by window"]];
const cost = { sides: D.presets[0].sides, k: D.presets[0].window, refine: D.presets[0].refine, size: 0 };
const giga = x => (x / 1e9).toFixed(x < 1e10 ? 3 : 2);
const mega = x => x === 0 ? "0" : grouped(x / 1e6) === "0" && x > 0 ? (x / 1e6).toFixed(2) : x < 1e8 ? (x / 1e6).toFixed(1) : grouped(x / 1e6);
const numbers = color => [1, 3, 5].map(i => parseInt(css(color).slice(i, i + 2), 16));

/** Why a window does not fit, or null. */
function misfit() {
  const s = cost.sides.findIndex((p, s) => s >= cost.refine && p < cost.k);
  return s < 0 ? null : `A window of ${cost.k} does not fit scale ${s}, whose side is ${cost.sides[s]}. Such a model is refused: choose a smaller window, or let windows begin later.`;
}

function drawMask(kind, wrong) {
  const { sides, k, refine } = cost, canvas = $("mask" + kind), [c] = surface(canvas), side = canvas.width;
  const picture = c.createImageData(side, side), [see, length] = seer(sides, k, refine);
  const fine = clamp(Math.round(length / side * 1.5), 1, 4), color = numbers(kinds[kind][1]), back = numbers("--panel");
  const at = Array.from({ length: side * fine }, (_, i) => Math.floor((i + .5) / fine / side * length));
  for (let y = 0; y < side && !wrong; y++) for (let x = 0; x < side; x++) {
    let hits = 0;
    for (let a = 0; a < fine; a++) for (let b = 0; b < fine; b++) hits += see(kind, at[y * fine + a], at[x * fine + b]);
    const share = Math.sqrt(hits) / fine, start = 4 * (y * side + x);
    for (let i = 0; i < 3; i++) picture.data[start + i] = back[i] + (color[i] - back[i]) * share;
    picture.data[start + 3] = 255;
  }
  c.putImageData(picture, 0, 0);
}

function drawCost() {
  const { sides, k, refine } = cost, size = D.sizes[cost.size], length = sum(squares(sides)), wrong = misfit();
  $("win").max = sides.at(-1);
  $("win").value = k;
  $("o-win").textContent = `${k} × ${k}`;
  $("ref").max = sides.length;
  $("ref").value = refine;
  $("o-ref").textContent = refine === sides.length ? "none" : refine;
  $("cost-error").hidden = !wrong;
  $("cost-error").textContent = wrong ?? "";
  const formulas = ["Σ pₛ² · (p₀² + … + pₛ²)", "Σ pₛ⁴", refine < sides.length ? `Σ pₛ⁴ (s < ${refine}) + Σ pₛ² · k² (s ≥ ${refine})` : "Σ pₛ⁴ (no windows)"];
  const cell = (text, kind = "td") => element(kind, kind === "th" ? { scope: "col", class: "r" } : { class: "r" }, text);
  const all = pairs(0, sides, k, refine);
  const rows = kinds.map(([name], kind) => {
    const isWrong = wrong && kind === 2, n = pairs(kind, sides, k, refine);
    drawMask(kind, isWrong);
    $("pairs" + kind).textContent = isWrong ? "–" : grouped(n);
    if (isWrong) return "";
    const counted = products(kind, sides, k, refine, size);
    return element("tr", {}, element("td", {}, name), element("td", {}, formulas[kind]), cell(`${(100 * n / length ** 2).toFixed(1)} %`), cell(`${(all / n).toFixed(2)} ×`),
      cell(giga(counted.attention)), cell(giga(counted.transformer)), cell(mega(activationBytes(kind, sides, k, refine, size))), cell(mega(cacheBytes(kind, sides, size))));
  });
  fill("cost", element("thead", {}, element("tr", {}, ...["Pattern", "Pairs"].map(text => element("th", { scope: "col" }, text)),
    ...["of L²", "VAR ÷ this", "attention, G", "transformer, G", "activations, MB", "cache, MB"].map(text => cell(text, "th")))), element("tbody", {}, ...rows));
  fill("n-cost", `${grouped(length)} tokens, ${size.blocks} blocks of width ${grouped(size.width)}. VAR’s cache: keys and values 2 × ${grouped(length)} tokens × width ${grouped(size.width)} × ${size.blocks} blocks × 4 bytes × 2 rows (guidance) = `,
    bold(`${mega(cacheBytes(0, sides, size))} MB`), ". Scale-Markov and MVAR: ", bold("0"), ".");
}

/** The sides in a text; null where they are no list of scales. */
function readSides(text) {
  const sides = text.split(/[\s,]+/).filter(Boolean).map(Number);
  const good = sides.length > 1 && sides.length <= 20 && sides[0] === 1 && sides.every((p, i) => Number.isInteger(p) && p <= 96 && (!i || p >= sides[i - 1]));
  return good ? sides : null;
}

function wireCost() {
  fill("masks", ...kinds.map(([name, , text], kind) => element("figure", {}, element("h3", {}, name),
    element("canvas", { id: "mask" + kind, role: "img", "aria-label": `Mask of ${name}` }),
    element("figcaption", {}, element("b", { id: "pairs" + kind }), " pairs", element("br"), text))));
  const option = (text, value) => element("option", { value }, text);
  $("preset").append(...D.presets.map((preset, i) => option(preset.name, i)), option("your own", D.presets.length));
  $("size").append(...D.sizes.map((size, i) => option(`${size.name} (${size.blocks} blocks, width ${size.width})`, i)));
  $("sides").value = cost.sides.join(" ");
  $("preset").onchange = event => {
    const preset = D.presets[event.target.value];
    if (!preset) return $("sides").focus();
    Object.assign(cost, { sides: preset.sides, k: preset.window, refine: preset.refine });
    $("sides").value = preset.sides.join(" ");
    drawCost();
  };
  $("sides").onchange = event => {
    const sides = readSides(event.target.value);
    $("preset").value = D.presets.length;
    if (!sides) {
      $("cost-error").hidden = false;
      $("cost-error").textContent = "Two to 20 whole numbers, please: the first 1, none smaller than the one before, none above 96.";
      return;
    }
    Object.assign(cost, { sides, k: Math.min(cost.k, sides.at(-1)), refine: Math.min(cost.refine, sides.length) });
    drawCost();
  };
  $("win").oninput = event => { cost.k = +event.target.value; drawCost(); };
  $("ref").oninput = event => { cost.refine = +event.target.value; drawCost(); };
  $("size").onchange = event => { cost.size = +event.target.value; drawCost(); };
}
