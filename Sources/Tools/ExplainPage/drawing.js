// Canvases: maps of cells in any color, pictures, and words in place of both.

const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function surface(canvas, ratio = 1) { // fits the canvas to its box → context and size in CSS pixels
  const width = Math.max(8, canvas.clientWidth), height = Math.round(width * ratio), dpr = devicePixelRatio || 1;
  canvas.width = Math.round(width * dpr);
  canvas.height = Math.round(height * dpr);
  canvas.style.height = height + "px";
  const c = canvas.getContext("2d");
  c.scale(dpr, dpr);
  return [c, width, height];
}

function mixed(from, to, x) { // of two #rrggbb
  const part = (text, i) => parseInt(text.slice(1 + 2 * i, 3 + 2 * i), 16);
  return `rgb(${[0, 1, 2].map(i => Math.round(part(from, i) + (part(to, i) - part(from, i)) * x)).join(" ")})`;
}

const rgb = (data, at) => `rgb(${data[at]} ${data[at + 1]} ${data[at + 2]})`;
const codeColor = v => rgb(X.codes, 3 * v);

/** A map of p × p cells, with the selected one, a box, and a dashed box. */
function cells(canvas, p, color, { selected = null, box = null, ghost = null } = {}) {
  const [c, width] = surface(canvas), size = width / p, gap = size > 9 ? 1 : size > 5 ? 0.5 : 0, overlap = gap ? 0 : 0.3;
  for (let i = 0; i < p * p; i++) {
    c.fillStyle = color(i);
    c.fillRect(i % p * size + gap / 2, Math.floor(i / p) * size + gap / 2, size - gap + overlap, size - gap + overlap);
  }
  const outline = (x, y, side, style, weight, inset) => {
    c.strokeStyle = style;
    c.lineWidth = weight;
    const left = Math.max(x * size, 0) + inset, top = Math.max(y * size, 0) + inset;
    c.strokeRect(left, top, Math.min(side * size - 2 * inset, width - left - inset), Math.min(side * size - 2 * inset, width - top - inset));
  };
  if (ghost) {
    c.setLineDash([5, 4]);
    c.strokeStyle = css("--var");
    c.lineWidth = 2;
    c.strokeRect(ghost.left * size, ghost.top * size, ghost.side * size, ghost.side * size);
    c.setLineDash([]);
  }
  if (box) outline(box.left, box.top, box.side, css("--own"), 2.5, 1.25);
  if (selected !== null) {
    const x = selected % p, y = Math.floor(selected / p);
    outline(x, y, 1, css("--panel"), 4, 2);
    outline(x, y, 1, css("--mark"), 2, 2);
  }
}

/** A square picture, or one of several side by side. */
function showPicture(canvas, image, index = 0) {
  const [c, width] = surface(canvas), side = image.height;
  c.imageSmoothingQuality = "high";
  c.drawImage(image, index * side, 0, side, side, 0, 0, width, width);
}

/** Lines of words where there is no map. */
function showWords(canvas, lines, size) {
  const [c, width] = surface(canvas);
  c.fillStyle = css("--empty");
  c.fillRect(0, 0, width, width);
  c.fillStyle = css("--ink");
  c.textAlign = "center";
  c.textBaseline = "middle";
  c.font = `600 ${Math.min(size, width / 9)}px system-ui, sans-serif`;
  lines.forEach((line, i) => c.fillText(line, width / 2, width / 2 + (i - (lines.length - 1) / 2) * 20, width - 12));
}

/** An element with attributes and children; text is never taken as markup. */
function element(name, attributes = {}, ...children) {
  const result = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) result.setAttribute(key, value);
  result.append(...children);
  return result;
}

/** Replaces what an element holds. */
const fill = (id, ...children) => $(id).replaceChildren(...children);
const bold = text => element("b", {}, String(text));
const code = text => element("code", {}, text);
