// Marks of figures say what they are as soon as the pointer is near, and open their candidate.

const NEAR = 18;
const tip = make("div", { id: "tip", role: "status", hidden: true });

// Marks of a figure with their places in its own units.
function marksOf(svg) {
  const found = [];
  for (const node of all("[data-c], circle, path, rect", svg)) {
    const title = find("title", node);
    if (!title && !node.dataset.c) continue;
    const box = node.getBBox();
    const text = title?.textContent ?? "";
    // The browser's own tip would come on top of ours; what it says is kept for screen readers.
    if (title) { node.setAttribute("aria-label", text); title.remove(); }
    found.push({ x: box.x + box.width / 2, y: box.y + box.height / 2, wide: box.width / 2, high: box.height / 2, text, row: node.dataset.c ? rowOf(node.dataset.c) : null });
  }
  for (const node of all("[data-cs]", svg)) {
    const places = [...node.getAttribute("d").matchAll(/M([\d.-]+) ([\d.-]+)/g)];
    node.dataset.cs.split(" ").forEach((key, i) => {
      const row = rowOf(key);
      found.push({ x: Number(places[i][1]), y: Number(places[i][2]), wide: 0, high: 0, text: `${data.index.id[row]} · ${titleOf(row)} · ${resultOf(row)}`, row });
    });
  }
  return [...found, ...lineMarks(svg)];
}

// The corners of lines say their values, by what the panel around them says of its axes.
function lineMarks(svg) {
  const found = [];
  const value = (share, low, high, kind) => (kind === "log" ? low * (high / low) ** share : low + share * (high - low));
  const say = (number, format) => (format === "percent" ? percent(number) : Number(number.toPrecision(4)).toLocaleString("en"));
  for (const node of all("[data-panel]", svg)) {
    const [numbers, across, up] = node.dataset.panel.split("|");
    const [left, top, right, bottom, x0, x1, xKind, xFormat, y0, y1, yKind, yFormat] = numbers.split(" ");
    for (const [x, y] of all("path.line", svg).flatMap(corners)) {
      if (x < left - 1 || x > Number(right) + 1 || y < top - 1 || y > Number(bottom) + 1) continue;
      const over = value((x - left) / (right - left), Number(x0), Number(x1), xKind);
      const high = value((bottom - y) / (bottom - top), Number(y0), Number(y1), yKind);
      found.push({ x, y, wide: 0, high: 0, text: `${across} ${say(over, xFormat)} · ${up}: ${say(high, yFormat)}`, row: null });
    }
  }
  return found;
}

// The corners of a path of straight lines.
function corners(path) {
  let [x, y] = [0, 0];
  return [...path.getAttribute("d").matchAll(/([MLHV])([\d.-]+)(?: ([\d.-]+))?/g)].map(([, step, a, b]) => {
    if (step === "V") y = Number(a);
    else x = Number(a);
    if (b !== undefined) y = Number(b);
    return [x, y];
  });
}

function nearest(marks, svg, event) {
  const matrix = svg.getScreenCTM();
  if (!matrix) return null;
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
  let best = null;
  let least = NEAR / matrix.a;
  for (const mark of marks) {
    const distance = Math.hypot(Math.max(0, Math.abs(mark.x - at.x) - mark.wide), Math.max(0, Math.abs(mark.y - at.y) - mark.high));
    // Of marks that the pointer is within, the smallest.
    if (distance < least || (distance === least && best && mark.wide < best.wide)) [least, best] = [distance, mark];
  }
  return best;
}

function hoverable(svg) {
  let marks = null;
  const ring = draw("circle", { class: "here", r: 8, visibility: "hidden" });
  const leave = () => { tip.hidden = true; ring.setAttribute("visibility", "hidden"); };
  svg.addEventListener("pointermove", (event) => {
    if (!marks) { marks = marksOf(svg); svg.append(ring); }
    const mark = nearest(marks, svg, event);
    svg.style.cursor = mark?.row != null ? "pointer" : "";
    if (!mark) return leave();
    ring.setAttribute("cx", mark.x);
    ring.setAttribute("cy", mark.y);
    ring.setAttribute("r", Math.max(8, Math.min(mark.wide, 14) + 3));
    ring.setAttribute("visibility", mark.wide > 14 ? "hidden" : "visible");
    tip.textContent = mark.text;
    tip.hidden = false;
    // Inside of an open dialog: what lies under it cannot be seen.
    (svg.closest("dialog") ?? document.body).append(tip);
    const room = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - room.width - 4))}px`;
    tip.style.top = `${event.clientY + 18 + room.height > innerHeight ? event.clientY - room.height - 12 : event.clientY + 18}px`;
    return undefined;
  });
  svg.addEventListener("pointerleave", leave);
  svg.addEventListener("click", (event) => {
    marks ??= marksOf(svg);
    const mark = nearest(marks, svg, event);
    if (mark?.row != null) { leave(); location.hash = `c${mark.row}`; }
  });
}
