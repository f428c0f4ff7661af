// Two candidates side by side: numbers, curves, and the difference of their programs.

function numberTable(one, two, names) {
  const [a, b] = [new Map(one), new Map(two)];
  const rows = [...new Set([...a.keys(), ...b.keys()])].map((name) => {
    const [left, right] = [a.get(name) ?? "–", b.get(name) ?? "–"];
    return make("tr", { class: left === right ? null : "differs" }, make("th", { scope: "row" }, name), make("td", {}, left), make("td", {}, right));
  });
  return make(
    "div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "Numbers" },
    make(
      "table", { class: "versus" },
      make("caption", { class: "unseen" }, "Numbers of both"),
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }), ...names.map((name) => make("th", { scope: "col" }, name)))),
      make("tbody", {}, ...rows),
    ),
  );
}

async function comparisonPage(one, two) {
  const known = await details();
  const names = [one, two].map((row) => data.index.id[row] || `attempt ${data.index.attempt[row]}`);
  const of = [one, two].map((row) => known.rows[row]);
  const gap = data.index.ood[one] !== null && data.index.ood[two] !== null ? data.index.ood[two] - data.index.ood[one] : null;
  const lines = of.map((row) => (row.source === null ? null : linesOf(known, row.source)));
  const plots = of.map((row, i) => row.curves && curvesOf(row.curves, names[i], i * (of[0].curves?.loss.length ?? 0)));
  const both = (part) => plots.flatMap((plot) => plot?.[part] ?? []);
  // The accuracy has one line each: neighbours in colour would not do.
  const accuracy = both("accuracy").map(([name, , ...rest], i) => [name, `s${i}`, ...rest]);
  return [
    make("p", { class: "result" }, gap === null ? "One of the two has no score." : `${names[1]}: ${signed(gap)} points of OOD accuracy against ${names[0]}. Both as measured: the noise of training is in it.`),
    make("p", { class: "note kin" }, ...[one, two].map((row) => [opener(row, `${data.index.id[row]}: ${titleOf(row)}`), " "])),
    section("Numbers and costs", numberTable(of[0].facts, of[1].facts, names)),
    plots.some(Boolean) && section("Learning curves", curvePlots(both("loss"), accuracy)),
    lines.every(Boolean) && section(`From ${names[0]} to ${names[1]}`, diffTable(lines[0], lines[1], `From ${names[0]} to ${names[1]}`)),
  ];
}

function openComparison(one, two) {
  const [a, b] = [one, two].map((row) => data.index.id[row] || `attempt ${data.index.attempt[row]}`);
  const swap = make("a", { class: "button", href: `#c${two}-c${one}` }, "Swap");
  return openDialog(`${a} and ${b}`, () => comparisonPage(one, two), [swap]);
}
