// The table of all candidates, from the index: it sorts, filters, and its rows open.

const STEP = 25;
const list = { order: [], shown: STEP, sort: "rank", down: false, words: "", run: "", status: "", factor: "", picked: [] };

const spread = (name) => (row) => {
  const { index } = data;
  const sd = index[`${name}_sd`]?.[row];
  return maybe(index[name][row], percent) + (sd ? ` ± ${percent(sd)}` : "");
};
const COLUMNS = [
  ["#", "rank", true, (row) => maybe(data.index.rank[row], whole)],
  ["Candidate", "id", false, (row) => opener(row, data.index.id[row] || "no program")],
  ["Run", "run", false, (row) => runs()[runOf(row)].name],
  ["Attempt", "attempt", true, (row) => whole(data.index.attempt[row])],
  ["Factor", "factor", false, (row) => data.index.factor[row]],
  ["Edit", "edit", false, editCell],
  ["Fitness (%)", "fitness", true, (row) => maybe(data.index.fitness[row], percent)],
  ["OOD (%)", "ood", true, spread("ood")],
  ["Test (%)", "test", true, (row) => maybe(data.index.test[row], percent)],
  ["Parameters", "params", true, (row) => maybe(data.index.params[row], whole)],
  ["MACs", "macs", true, (row) => maybe(data.index.macs[row], whole)],
  ["Gain", "gain", true, (row) => maybe(data.index.gain[row], signed)],
];

function opener(row, text) {
  return make("a", { href: `#c${row}`, class: "opens" }, text);
}

function editCell(row) {
  const { index } = data;
  const status = index.status[row] === "scored" ? null : make("span", { class: "chip" }, index.status[row]);
  const wins = runs().some((run) => run.start + run.winner === row && run.winner !== null);
  return [index.edit[row], " ", status, wins && make("span", { class: "chip best" }, "winner")];
}

function matches(row) {
  const { index } = data;
  if (list.run !== "" && runOf(row) !== Number(list.run)) return false;
  if (list.status && index.status[row] !== list.status) return false;
  if (list.factor && index.factor[row] !== list.factor) return false;
  const text = `${index.id[row]} ${index.attempt[row]} ${index.factor[row]} ${index.edit[row]} ${index.status[row]}`.toLowerCase();
  return list.words.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

function value(row, key) {
  return key === "run" ? runs()[runOf(row)].name : data.index[key][row];
}

function arrange() {
  const rows = [...data.index.id.keys()].filter(matches);
  rows.sort((a, b) => order(value(a, list.sort), value(b, list.sort), list.down) || data.index.attempt[a] - data.index.attempt[b]);
  list.order = rows;
  show();
}

function show() {
  const rows = list.order.slice(0, list.shown);
  const columns = COLUMNS.filter(([, key]) => key !== "run" || runs().length > 1);
  find("#explorer tbody").replaceChildren(
    ...rows.map((row) =>
      make(
        "tr",
        { "data-row": row },
        make("td", {}, make("input", {
          type: "checkbox", "aria-label": `Compare ${titleOf(row)}`, onchange: () => pick(row),
        })),
        ...columns.map(([, key, numeric, cell]) => make("td", { class: `c-${key}${numeric ? " n" : ""}` }, cell(row))),
      ),
    ),
  );
  marks();
  const more = list.order.length - rows.length;
  find("#explorer .count").textContent = `${whole(list.order.length)} of ${whole(data.index.id.length)} candidates`;
  find("#explorer .more").hidden = more <= 0;
  find("#explorer .more").textContent = `Show ${whole(Math.min(more, 4 * STEP))} more of ${whole(more)}`;
}

// Two candidates can be picked; a third takes the place of the first.
function pick(row) {
  const { picked } = list;
  if (picked.includes(row)) picked.splice(picked.indexOf(row), 1);
  else picked.push(row);
  if (picked.length > 2) picked.shift();
  marks();
}

function marks() {
  const { picked } = list;
  for (const box of all("#explorer input[type=checkbox]")) box.checked = picked.includes(Number(box.closest("tr").dataset.row));
  const bar = find("#picked");
  bar.hidden = picked.length === 0;
  const names = picked.map((row) => make("span", { class: "chip" }, `${data.index.id[row]} (${resultOf(row)})`));
  const ready = picked.length === 2;
  bar.replaceChildren(
    ...names,
    ready
      ? make("a", { class: "button", href: `#c${picked[0]}-c${picked[1]}` }, "Compare the two")
      : make("span", { class: "quiet" }, "pick a second one to compare"),
    make("button", { type: "button", class: "plain", "aria-label": "Pick none", onclick: () => { list.picked = []; marks(); } }, "×"),
  );
}

function choice(label, key, values) {
  if (values.length < 2) return null;
  const options = values.map(([value, name]) => make("option", { value }, name));
  const select = make("select", { "aria-label": label }, make("option", { value: "" }, label), ...options);
  select.value = list[key];
  select.addEventListener("change", () => { list[key] = select.value; list.shown = STEP; arrange(); });
  return select;
}

function explorer() {
  const { index } = data;
  const values = (column) => [...new Set(column)].sort().map((value) => [value, value]);
  const search = make("input", { type: "search", placeholder: "Filter: words, an attempt, an id", "aria-label": "Filter candidates" });
  search.value = list.words;
  search.addEventListener("input", () => { list.words = search.value; list.shown = STEP; arrange(); });
  const headings = COLUMNS.filter(([, key]) => key !== "run" || runs().length > 1).map(([name, key, numeric]) => {
    const heading = make("th", { scope: "col", class: numeric ? "n" : null, "aria-sort": key !== list.sort ? null : list.down ? "descending" : "ascending" }, name);
    sortable(heading, numeric && key !== "rank", (down) => { list.sort = key; list.down = down; arrange(); });
    return heading;
  });
  const more = make("button", { type: "button", class: "more" });
  more.addEventListener("click", () => { list.shown += 4 * STEP; show(); });
  const place = find("#explorer");
  place.replaceChildren(
    make(
      "p",
      { class: "filter" },
      search,
      choice("all runs", "run", runs().map((run, i) => [i, run.name])),
      choice("any status", "status", values(index.status)),
      choice("any factor", "factor", values(index.factor)),
      make("span", { class: "quiet count", role: "status" }),
    ),
    make(
      "div",
      { class: "scroll", tabindex: 0, role: "group", "aria-label": "All candidates" },
      make(
        "table",
        { class: "t-all" },
        make("caption", { class: "unseen" }, "All candidates"),
        make("thead", {}, make("tr", {}, make("th", { scope: "col" }, make("span", { class: "unseen" }, "Compare")), ...headings)),
        make("tbody"),
      ),
    ),
    more,
  );
  find("tbody", place).addEventListener("click", (event) => {
    const row = event.target.closest("tr");
    if (row && !event.target.closest("a, input, button") && !String(getSelection())) location.hash = `c${row.dataset.row}`;
  });
  document.body.append(make("div", { id: "picked", hidden: true, role: "region", "aria-label": "Picked for comparison" }));
  place.hidden = false;
  for (const plain of all("#candidates > .plainly")) plain.hidden = true;
  arrange();
}
