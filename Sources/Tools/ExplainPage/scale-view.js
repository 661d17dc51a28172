// The strip of pictures, and one scale from input to picture.

let timer = null; // of the animation

function drawStrip() {
  [...$("scales").children].forEach((button, s) => {
    button.setAttribute("aria-checked", s === state.s);
    button.tabIndex = s === state.s ? 0 : -1;
    button.className = s < state.s ? "past" : "";
    showPicture(button.firstChild, X.pictures, s);
  });
  const p = M.sides[state.s];
  fill("where-text", bold(`Scale ${state.s}`), `, ${p} × ${p}`, element("br"), windowed(state.s) ? `window ${M.window} × ${M.window}` : "sees its whole map");
  $("play").textContent = timer ? "❚❚ Pause" : "▶ Play";
}

function describe(id, text, note) {
  $(id).setAttribute("aria-label", text);
  $("n-" + id.slice(2)).textContent = note;
}

function drawFlow() {
  const s = state.s, p = M.sides[s], last = s === S - 1, side = M.sides[S - 1];
  const inputs = first.map(f => 3 * (f - counts[0])); // inputs begin with scale 1
  $("t-in").textContent = `What scale ${s} gets`;
  if (s) {
    cells($("c-in"), p, i => rgb(X.inputs, inputs[s] + 3 * i));
    describe("c-in", `Input of scale ${s}, ${p} by ${p} cells`, `f̂ of the scales before, averaged down to ${p} × ${p} cells of ${M.codeWidth} numbers.`);
  } else {
    const name = R.className ?? "no class";
    showWords($("c-in"), [R.className === null || R.className === undefined ? name : `“${name}”`], 22);
    describe("c-in", `Input of scale 0: ${name}`, "There is no picture yet: the class is all there is.");
  }
  const made = R.isPhoto ? "given" : "drawn";
  $("t-tok").textContent = p === 1 ? `One token ${made}` : `${p * p} tokens ${made}`;
  cells($("c-tok"), p, i => codeColor(X.tokens[first[s] + i]), { selected: selected() });
  describe("c-tok", `Tokens of scale ${s}, ${p} by ${p}`, `One of ${V} codes each, colored by what the code looks like alone.`);
  cells($("c-sum"), side, i => rgb(X.sums, 3 * (s * side * side + i)));
  describe("c-sum", `The sum after scale ${s}`, last ? `${side} × ${side} cells. The codes are added as they are, smoothed by Φ.` : `The codes, enlarged to ${side} × ${side} and smoothed by Φ, are added to f̂.`);
  showPicture($("c-pic"), X.pictures, s);
  describe("c-pic", `The picture after scale ${s}`, `Decoded for this page only: the model never sees it${last ? ", but here it is finished." : "."}`);
  $("a-next").hidden = last;
  if (last && X.photo) {
    $("t-next").textContent = "The photograph";
    showPicture($("c-next"), X.photo);
    describe("c-next", "The photograph", "What the tokenizer was given. The difference from the picture is what it loses.");
  } else if (last) {
    $("t-next").textContent = "Done";
    showWords($("c-next"), [`${grouped(L)} tokens`, `${S} passes`], 15);
    describe("c-next", "No scale follows", "No scale follows. The picture is the result.");
  } else {
    const next = M.sides[s + 1];
    $("t-next").textContent = `What scale ${s + 1} gets`;
    cells($("c-next"), next, i => rgb(X.inputs, inputs[s + 1] + 3 * i));
    describe("c-next", `Input of scale ${s + 1}`, `The same f̂, averaged down to ${next} × ${next}. Nothing else is passed on.`);
  }
}

function stop() {
  clearInterval(timer);
  timer = null;
  drawStrip();
}

function play() {
  if (timer) return stop();
  timer = setInterval(() => state.s >= S - 1 ? stop() : setScale(state.s + 1), 900);
  setScale(state.s === S - 1 ? 0 : state.s + 1);
}

function wireScales() {
  M.sides.forEach((p, s) => {
    const button = element("button", { type: "button", role: "radio", "aria-label": `Scale ${s}, ${p} by ${p} tokens` },
      element("canvas"), String(p), element("span", { class: "long" }, ` × ${p}`));
    button.onclick = () => setScale(s);
    $("scales").append(button);
  });
  $("scales").addEventListener("keydown", event => {
    const next = { ArrowLeft: state.s - 1, ArrowUp: state.s - 1, ArrowRight: state.s + 1, ArrowDown: state.s + 1, Home: 0, End: S - 1 }[event.key];
    if (next === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    setScale(next);
    $("scales").children[state.s].focus();
  });
  document.addEventListener("keydown", event => {
    if (event.target !== document.body || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowLeft") setScale(state.s - 1);
    if (event.key === "ArrowRight") setScale(state.s + 1);
  });
  $("play").onclick = play;
}
