// Small figures of single candidates: learning curves, and where they fail.

const AREA = { width: 400, height: 220, left: 46, right: 12, top: 14, bottom: 34 };

// Round numbers within a range, about so many.
function ticks(low, high, wanted) {
  const rough = (high - low) / wanted || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const list = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high + step / 1e6; tick += step) list.push(Number(tick.toPrecision(12)));
  return list;
}

// Ticks of a logarithmic scale: 1, 2, 5 and their tenfold, or even ones where too few of these are in the range.
function decades(low, high) {
  const list = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
    list.push(...[1, 2, 5].map((factor) => Number((factor * 10 ** power).toPrecision(12))));
  }
  const inside = list.filter((tick) => tick >= low && tick <= high);
  return inside.length > 2 ? inside : ticks(low, high, 4).filter((tick) => tick > 0);
}

// `lines`: [name, class, steps, values].
function plot(title, lines, { log = false, show = (value) => value.toPrecision(3) } = {}) {
  const points = lines.flatMap(([, , steps, values]) => steps.map((step, i) => [step, values[i]]));
  if (points.length < 2) return null;
  const { width, height, left, right, top, bottom } = AREA;
  const last = Math.max(...points.map(([step]) => step));
  const scale = (value) => (log ? Math.log10(value) : value);
  let [low, high] = [Math.min(...points.map(([, value]) => scale(value))), Math.max(...points.map(([, value]) => scale(value)))];
  if (high - low < 1e-9) [low, high] = [low - 0.05, high + 0.05];
  const x = (step) => left + ((width - left - right) * step) / last;
  const y = (value) => height - bottom - ((height - top - bottom) * (scale(value) - low)) / (high - low);
  const svg = draw("svg", { class: "figure small", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title });
  const marks = log ? decades(10 ** low, 10 ** high) : ticks(low, high, 4);
  for (const tick of marks) {
    svg.append(
      draw("path", { class: "grid", d: `M${left} ${y(tick)}H${width - right}` }),
      draw("text", { class: "tick", x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, show(tick)),
    );
  }
  for (const tick of ticks(0, last, 4)) {
    svg.append(draw("text", { class: "tick", x: x(tick), y: height - bottom + 16, "text-anchor": "middle" }, whole(tick)));
  }
  svg.append(draw("text", { class: "label", x: (left + width - right) / 2, y: height - 3, "text-anchor": "middle" }, "optimiser step"));
  for (const [name, kind, steps, values] of lines) {
    const d = steps.map((step, i) => `${i ? "L" : "M"}${x(step).toFixed(1)} ${y(values[i]).toFixed(1)}`).join("");
    svg.append(draw("path", { class: `line ${kind}`, d }));
    steps.forEach((step, i) => {
      const tip = draw("title", {}, `${name}, step ${whole(step)}: ${show(values[i])}`);
      svg.append(draw("circle", { class: `${kind} quiet-dot`, cx: x(step).toFixed(1), cy: y(values[i]).toFixed(1), r: 2 }, tip));
    });
  }
  const legend = lines.map(([name, kind]) => make("span", { class: `key ${kind}` }, name));
  return make("figure", { class: "small" }, make("h4", {}, title), svg, make("figcaption", {}, ...legend));
}

function curvesOf(curves, prefix = "", shift = 0) {
  const name = (text) => (prefix ? `${prefix}: ${text}` : text);
  const kind = (i) => `s${(i + shift) % 8}`;
  return {
    loss: curves.loss.map(([length, steps, values], i) => [name(length), kind(i), steps, values]),
    accuracy: [[name(curves.accuracy[0]), kind(0), curves.accuracy[1], curves.accuracy[2]]],
  };
}

function curvePlots(loss, accuracy) {
  return make(
    "div", { class: "pair" },
    plot("Validation accuracy (%)", accuracy, { show: (value) => (value * 100).toFixed(1) }),
    plot("Training loss, smoothed", loss, { log: true }),
  );
}

// Hints by tenths of the run, as shades; and what parts are worth.
function diagnosisTables({ nodes, score, hints, parts }) {
  const shade = (value) => {
    if (value === null) return make("td", { class: "heat none" }, "–");
    return make("td", { class: `heat w${Math.min(6, Math.floor((1 - value) * 7))}` }, (value * 100).toFixed(0));
  };
  const tenths = Array.from({ length: 10 }, (_, i) => make("th", { scope: "col", class: "n" }, i + 1));
  const of = hints.map(([name, accuracy, forced, by]) => make("tr", {}, make("th", { scope: "row" }, name), ...by.map(shade), shade(accuracy), shade(forced)));
  const heat = make(
    "table", { class: "hints" },
    make("caption", {}, `Accuracy of hints (%) by tenth of the run, ${nodes} nodes; score ${percent(score)} %`),
    make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Hint"), ...tenths, make("th", { scope: "col", class: "n" }, "all"), make("th", { scope: "col", class: "n" }, "with true hints"))),
    make("tbody", {}, ...of),
  );
  const worth = make(
    "table", { class: "worth" },
    make("caption", {}, "What parts are worth: points lost without each"),
    make("tbody", {}, ...parts.map(([name, loss]) => make("tr", {}, make("td", { class: "c-code" }, name), make("td", { class: "n" }, signed(loss))))),
  );
  const scroll = (table) => make("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": table.caption.textContent }, table);
  return [hints.length > 0 && scroll(heat), parts.length > 0 && scroll(worth)];
}
