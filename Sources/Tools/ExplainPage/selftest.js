// The page's own test: open it with #selftest. What it expects of candidates and counts was computed by `mvar` from the
// undisturbed logits (PageExpectations.swift). The result is in the element #selftest, as JSON.

function checkSetting(setting, check) {
  const name = `guidance ${setting.cfg}, top-k ${setting.topK}, top-p ${setting.topP}`;
  const move = (id, value) => { $(id).value = value; $(id).dispatchEvent(new Event("input")); };
  const isOwn = setting === D.expected.settings[0];
  if (isOwn) $("reset").click();
  else {
    if (R.canBeGuided) move("cfg", setting.cfg);
    move("k", stops.indexOf(setting.topK || V));
    move("p", setting.topP || 1);
  }
  let worst = 0, worstConditional = 0, different = 0, missing = 0, outside = 0, shown = 0;
  setting.tokens.forEach((i, index) => {
    const s = first.findLastIndex(start => start <= i), r = inspect(s, i - first[s]);
    const isOther = r.unknown > 0 ? r.left > setting.survivors[index] : r.left !== setting.survivors[index];
    different += isOther;
    setting.ids[index].forEach((id, place) => {
      const n = P.isPart ? Array.from({ length: N }, (_, n) => codeOf(i, n)).indexOf(id) : id;
      if (n < 0) return missing++;
      if (isOwn || !isOther) worst = Math.max(worst, Math.abs(r.final[n] - setting.probabilities[index][place]));
      worstConditional = Math.max(worstConditional, Math.abs(r.conditional[n] - setting.conditional[index][place]));
    });
    outside += isOwn && !R.isPhoto && !(r.final[r.drawn] > 0);
  });
  // At the run's own settings all survivors are the run's; elsewhere rounding may carry single ones across a border.
  const most = isOwn ? 0 : Math.ceil(setting.tokens.length / 10);
  check(`${name}: probabilities`, worst <= (isOwn ? 1e-3 : 1e-2), worst);
  check(`${name}: probabilities without guidance`, worstConditional <= (P.isPart ? 3e-2 : 1e-2), worstConditional);
  check(`${name}: tokens with other survivors`, different <= most, different);
  check(`${name}: likely candidates that are not stored`, missing === 0, missing);
  check(`${name}: drawn codes that the filter removes`, outside === 0, outside);
  // What the table shows after a click on a token.
  for (const i of setting.tokens.slice(-3)) {
    const s = first.findLastIndex(start => start <= i);
    setScale(s);
    cell(i - first[s]).click();
    const best = setting.ids[setting.tokens.indexOf(i)][0], row = $("bars").querySelector(`tr[data-code="${best}"]`);
    const wanted = setting.probabilities[setting.tokens.indexOf(i)][0], text = row?.lastElementChild.textContent ?? "";
    shown += !row || Math.abs(parseFloat(text.replace("< ", "")) / 100 - wanted) > 0.02;
  }
  check(`${name}: rows of the table that differ`, shown === 0, shown);
}

function checkCounts(check) {
  for (const e of D.expected.counts) {
    const args = [e.sides, e.window, e.refine], name = `${e.sides.join(" ")}, window ${e.window} from ${e.refine}, ${e.size.name}`;
    const same = (what, found, expected) => check(`${what} of ${name}`, found.every((x, kind) => x === expected[kind]), found.join(" "));
    const each = compute => [0, 1, 2].map(compute);
    same("pairs", each(kind => pairs(kind, ...args)), e.pairs);
    for (const key of ["attention", "attentionBlocks", "transformer"]) same(key, each(kind => products(kind, ...args, e.size)[key]), e[key]);
    same("cache", each(kind => cacheBytes(kind, e.sides, e.size)), e.cacheBytes);
    same("activations", each(kind => activationBytes(kind, ...args, e.size)), e.activationBytes);
  }
  const [see, length] = seer([1, 2, 3, 5, 7], 4, 3), counted = [0, 0, 0];
  for (let q = 0; q < length; q++) for (let r = 0; r < length; r++) for (let kind = 0; kind < 3; kind++) counted[kind] += see(kind, q, r);
  check("the masks have as many pairs as are counted", counted.every((n, kind) => n === pairs(kind, [1, 2, 3, 5, 7], 4, 3)), counted.join(" "));
}

function checkAttention(check) {
  let wrong = 0, far = 0;
  for (let s = 0; s < S; s++) for (let token = 0; token < counts[s]; token++) {
    const keys = keysOf(s, token);
    wrong += keys.length !== keyCount(s) || new Set(keys).size !== keys.length || !keys.includes(token) || keys.some(key => key < 0 || key >= counts[s]);
    for (let b = 0; b < P.blocks.length; b++) for (let h = 0; h < P.heads.length; h++) far = Math.max(far, Math.abs(1 - sum(rowOf(s, b, h, token))));
  }
  check("tokens with wrong keys", wrong === 0, wrong);
  check("attention rows, distance of the sum from 1", far < 1e-9, far);
  const end = pairsOf * sum(counts.map((n, s) => n * keyCount(s)));
  check("attention has a weight for every key", X.attention.length === end, X.attention.length);
  for (let s = Math.min(M.refine, S - 1); s < S; s++) for (const [x, y] of [[.01, .01], [.99, .01], [.01, .99], [.99, .99]]) {
    setScale(s);
    const canvas = $("c-att"), side = M.sides[s], edge = share => share > .5 ? side - 1 : 0;
    cell(edge(y) * side + edge(x)).click();
    const clicked = selected();
    select(middle(side));
    const box = canvas.getBoundingClientRect();
    canvas.dispatchEvent(new PointerEvent("pointerdown", { clientX: box.left + x * box.width, clientY: box.top + y * box.height, bubbles: true }));
    check(`a click on a corner of scale ${s} at ${x}, ${y} shows its window`, +canvas.dataset.keys === keyCount(s) && selected() === edge(y) * side + edge(x) && clicked === selected(), +canvas.dataset.keys);
  }
}

function checkControls(check) {
  const press = (target, key) => target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  const change = (id, value, event) => { $(id).value = value; $(id).dispatchEvent(new Event(event)); };
  setScale(S - 1);
  select(0);
  for (const key of ["ArrowRight", "ArrowDown", "ArrowDown", "ArrowLeft", "ArrowLeft", "ArrowRight"]) press(cell(selected()), key);
  check("arrow keys move the token and stop at the border", selected() === 2 * M.sides[S - 1] + 1, selected());
  check("the moved token has the focus", document.activeElement === cell(selected()), document.activeElement?.getAttribute("aria-label"));
  press($("scales"), "Home");
  document.activeElement.blur();
  press(document.body, "ArrowRight");
  check("keys move the scale", state.s === 1, state.s);
  for (const [mode] of modes) change("mode", mode, "change");
  change("mode", "code", "change");
  setScale(S - 1);
  const labels = [...$("map").querySelectorAll("button")].map(button => button.getAttribute("aria-label"));
  check("every token of the map has a name", labels.length === counts[S - 1] && new Set(labels).size === labels.length, labels.length);
  check("the page shows the run’s tokens", D.expected.firstTokens.every((code, s) => X.tokens[first[s]] === code), D.expected.firstTokens.join(" "));
  const images = [...document.querySelectorAll("canvas[role]")].filter(canvas => !canvas.closest("[hidden]") && !canvas.getAttribute("aria-label"));
  check("every picture is described", images.length === 0, images.map(canvas => canvas.id).join(" "));
  if (!R.isPhoto && !P.isPart) {
    $("reset").click();
    let other = 0;
    for (let s = 0; s < S; s++) for (let token = 0; token < counts[s]; token++) {
      const r = inspect(s, token);
      other += draw(r) !== r.drawn;
    }
    check("tokens that the random number does not draw", other <= L / 50, other);
  }
  change("preset", 0, "change");
  const [mostWindow, preset] = [Math.min(...M.sides.slice(M.refine), M.sides[S - 1]), D.presets[0]];
  change("win", Math.min(M.window - 1 || 1, mostWindow), "input");
  const shown = grouped(pairs(2, preset.sides, +$("win").value, preset.refine));
  check("the window slider recounts", $("pairs2").textContent === shown, $("pairs2").textContent);
  change("ref", 0, "input");
  change("win", 2, "input");
  check("a window that does not fit is refused", !$("cost-error").hidden && $("pairs2").textContent === "–", $("cost-error").textContent);
  change("sides", "2 1", "change");
  check("a list that is none is refused", !$("cost-error").hidden, $("cost-error").textContent);
  change("sides", "1, 2, 4, 8", "change");
  change("ref", 3, "input");
  check("a list of one’s own", $("pairs0").textContent === grouped(1 + 4 * 5 + 16 * 21 + 64 * 85) && $("pairs2").textContent === grouped(1 + 16 + 256 + 64 * 4), $("pairs2").textContent);
  change("preset", 0, "change");
  $("var").click();
  check("what VAR would see", $("n-var").textContent.includes(grouped(L)), $("n-var").textContent);
  $("var").click();
  check("the address remembers", location.hash.includes(`scale=${S - 1}`), location.hash);
  check("no sideways scrolling", document.documentElement.scrollWidth <= innerWidth, `${document.documentElement.scrollWidth} of ${innerWidth}`);
}

function selftest() {
  const report = {}, errors = [];
  addEventListener("error", event => errors.push(event.message));
  const check = (name, good, value) => report[name] = { good: Boolean(good), value };
  for (const setting of D.expected.settings) checkSetting(setting, check);
  $("reset").click();
  checkCounts(check);
  checkAttention(check);
  checkControls(check);
  check("no error", errors.length === 0, errors.join(" "));
  $("selftest").hidden = false;
  $("selftest").textContent = JSON.stringify({ passed: Object.values(report).every(r => r.good), report }, null, 1);
}

begin().catch(fail);
