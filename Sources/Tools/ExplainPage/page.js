// The page as a whole: its words, the wiring of its parts, and the beginning.

function drawScale() { drawStrip(); drawFlow(); drawToken(); drawAttention(); }
function setScale(s) { state.s = clamp(s, 0, S - 1); drawScale(); writeAddress(); }
function select(token) { state.at[state.s] = token; drawFlow(); drawToken(); drawAttention(); writeAddress(); }

function texts() {
  const side = M.sides[S - 1];
  const [title, lead] = R.isPhoto ? ["A photograph as MVAR sees it",
    `The tokenizer turned the photograph into ${S} maps of tokens, from one single token to ${side} × ${side}. A token is one of ${grouped(V)} codes, a list of ${M.codeWidth} numbers. The model was given these tokens instead of drawing its own (teacher forcing): at each scale it sees the sum of all coarser ones, resized to the scale, and says how likely each code is. The page compares what it would have predicted with the photograph’s own tokens.`]
    : ["How MVAR makes an image",
      `MVAR draws an image as ${S} maps of tokens, from one single token to ${side} × ${side}. A token is one of ${grouped(V)} codes, a list of ${M.codeWidth} numbers. At each scale a transformer looks at the sum of everything drawn so far, resized to the scale, and proposes probabilities for all tokens of the scale. One code is drawn for each, and the codes are added to the sum. After the last scale a decoder turns the sum into the picture. What you see below is one real run, every number from that run.`];
  if (D.photo) {
    $("photo").src = D.photo;
    $("photo").hidden = false;
  }
  document.title = $("title").textContent = title;
  $("lead").textContent = lead;
  const facts = [["photograph", R.photo], ["class", R.className ?? "none"], ["seed", R.seed],
    ["guidance", R.canBeGuided ? (R.cfg === 1 ? "1 (off)" : R.cfg) : null], ["top-k", R.topK || "off"], ["top-p", R.topP || "off"],
    ["model", `${M.name}, ${(M.parameters / 1e6).toFixed(2)} million parameters, ${plural(M.blocks, "block", "blocks")} of ${plural(M.heads, "head", "heads")}`],
    ["windows", M.refine < S ? `${M.window} × ${M.window} from scale ${M.refine}` : "none"]];
  fill("facts", ...facts.filter(([, value]) => value !== null && value !== undefined).map(([name, value]) => element("li", {}, name + " ", element("b", { dir: "auto" }, String(value)))));
  $("n-scale").textContent = R.isPhoto ? "At each scale, one pass of the transformer predicts all tokens at once." : "Each scale is drawn in one pass of the transformer, all of its tokens at once.";
  $("h-token").textContent = R.isPhoto ? "One token: what the model would have predicted" : "One token: from logits to a draw";
  $("n-token").textContent = `Select a token with the mouse, or focus the map and use the arrow keys. The sliders compute the probabilities anew in this page, from the logits of the run${R.isPhoto ? "." : "; the picture stays as it was drawn."}`;
  $("reset").textContent = R.isPhoto ? "As at the beginning" : "As in the run";
  $("n-bars").textContent = `The five likeliest${R.canBeGuided ? " after guidance" : ""}, and the ${R.isPhoto ? "photograph’s own" : "drawn one"}. The colored square is what a code looks like alone. ${R.canBeGuided ? "Null and conditional: what the model says without and with the class." : "No class was given, so there is no guidance."}`;
  $("n-rank").textContent = `(${R.canBeGuided ? "guided " : ""}probability, logarithmic${P.isPart ? `; the ${N} that are stored of ${grouped(V)}` : ""})`;
  const looks = P.codesAreDecoded ? "A code’s color is that of a map filled with it alone, decoded." : "A code’s color is the one that the same map gives it.";
  $("n-color").textContent = `A cell of the inputs and sums holds ${M.codeWidth} numbers, not a color. It is shown in the color that a linear map predicts for the decoded picture there, the map that fits this run best (it explains ${(100 * P.colorFit).toFixed(0)} % of the variance). ${looks} Codes of later scales are corrections to what is there, so their colors need not resemble the picture.`;
  const part = P.isPart ? ` This page stores the ${N} likeliest candidates of each token and the probability of all others together, so that candidates are exact where the sliders stand at the beginning and close to it elsewhere.` : "";
  $("exactness").textContent = `Exactness. Logits are stored finely enough that probabilities are within 0.001 of the run’s at its own settings, and within about 0.01 where the guidance slider is moved.${part} Attention is stored in ${P.attentionLevels + 1} steps a row, enough for colors, so percentages of attention are approximate. It is the attention of the pass that is told the class${R.className === null || R.className === undefined ? " (here none)" : ""}. Scales, blocks and heads are counted from 0. The sampler treats a guidance of 1 as off, and so does the slider.`;
}

async function begin() {
  if (typeof DecompressionStream === "undefined") throw new Error("this browser cannot unpack it; use one from 2023 or later");
  await unpack();
  prepareDistances();
  const tests = readAddress();
  texts();
  wireScales();
  wireTokens();
  wireAttention();
  wireCost();
  $("loading").hidden = true;
  $("strip").hidden = document.querySelector("main").hidden = false;
  drawScale();
  drawCost();
  let width = innerWidth, wait = null;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    clearTimeout(wait);
    wait = setTimeout(() => { drawScale(); drawCost(); }, 80);
  });
  addEventListener("hashchange", () => { readAddress(); drawScale(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { drawScale(); drawCost(); });
  if (tests) selftest();
}

// The last script calls it, when everything is defined.
function fail(error) {
  $("loading").hidden = true;
  document.body.prepend(element("p", { class: "error", role: "alert" }, `The page could not be drawn: ${error.message ?? error}`));
  console.error(error);
}
