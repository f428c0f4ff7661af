// A candidate, opened: what it changed, why, what was said about it, how it learnt, what it cost.

const dialog = () => find("#opened");

function section(title, ...content) {
  return content.flat(3).some(Boolean) ? make("section", {}, make("h3", {}, title), ...content) : null;
}

function folded(title, fillIt, open = false) {
  const box = make("details", { open }, make("summary", {}, title));
  const once = () => { if (box.open && box.children.length === 1) box.append(...[fillIt()].flat().filter(Boolean)); };
  box.addEventListener("toggle", once);
  if (open) once();
  return box;
}

function factList(facts) {
  return make("dl", { class: "numbers" }, ...facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
}

// The pages of rules are Markdown with headings, paragraphs and code.
function rulePage(text) {
  const nodes = [];
  let code = null;
  for (const line of text.split("\n")) {
    if (line.startsWith("```")) {
      if (code) nodes.push(make("pre", {}, code.join("\n")));
      code = code ? null : [];
    } else if (code) code.push(line);
    else if (line.startsWith("## ")) nodes.push(make("h5", {}, line.slice(3)));
    else if (line.trim() && !line.startsWith("# ")) {
      nodes.push(make("p", {}, ...line.split("`").map((part, i) => (i % 2 ? make("code", {}, part) : part))));
    }
  }
  return make("div", { class: "rule" }, ...nodes);
}

function findingList(findings, rules) {
  return findings.map(([severity, code, line, column, message, help]) =>
    make(
      "div", { class: `finding ${severity === "error" ? "bad" : ""}` },
      make("p", {}, make("strong", {}, `${severity} ${code}`), line > 0 ? ` line ${line}, column ${column}: ` : ": ", message),
      help && make("p", { class: "note" }, `Help: ${help}`),
      Object.hasOwn(rules, code) && folded(`What ${code} is about`, () => rulePage(rules[code])),
    ));
}

function talk(calls, pool) {
  return calls.map(({ title, spent, faults, texts }) =>
    make(
      "div", { class: "call" },
      make("h4", {}, title, " ", make("span", { class: "quiet" }, spent)),
      ...faults.map((fault) => make("p", { class: "remark" }, fault)),
      ...texts.map(([name, text]) => {
        const lines = linesOf(pool, text);
        const box = () => make("div", { class: "talk", tabindex: 0, role: "group", "aria-label": name }, lines.join("\n"));
        return folded(`${name}, ${whole(lines.length)} ${lines.length === 1 ? "line" : "lines"}`, box, name === "Reply");
      }),
    ));
}

function relatives(row) {
  const { index } = data;
  const run = runs()[runOf(row)];
  const parent = parentOf(row);
  const place = row - run.start;
  const end = runs()[runOf(row) + 1]?.start ?? index.id.length;
  const children = [];
  for (let i = run.start; i < end; i += 1) if (index.parent[i] === place && i !== row) children.push(i);
  const link = (other) => [opener(other, `${index.id[other] || "no program"} (${resultOf(other)})`), " "];
  return make(
    "p", { class: "note kin" },
    parent !== null && ["Parent: ", link(parent)],
    children.length > 0 && [`Children (${whole(children.length)}): `, children.slice(0, 20).map(link), children.length > 20 && "…"],
  );
}

async function candidatePage(row) {
  const known = await details();
  const { facts, source, directive, reason, findings, curves, diagnosis } = known.rows[row];
  const parent = parentOf(row);
  const before = parent === null ? null : known.rows[parent].source;
  const calls = known.talks[runOf(row)][data.index.attempt[row]] ?? [];
  const lines = source === null ? null : linesOf(known, source);
  const plots = curves && curvesOf(curves);
  return [
    make("p", { class: "result" }, make("strong", {}, resultOf(row)), reason && ` ${reason}`),
    relatives(row),
    directive !== null && section("Directive", make("p", { class: "directive" }, linesOf(known, directive).join("\n"))),
    section("Findings", findingList(findings, known.rules)),
    lines && before !== null && section("Changes to its parent", diffTable(linesOf(known, before), lines, "Changes to its parent")),
    lines && folded(`The whole program (${whole(lines.length)} lines)`, () => programTable(lines, "The whole program"), before === null),
    !lines && data.index.id[row] !== "" && make("p", { class: "note" }, "This program has no room on the page: the archive has it."),
    section("Numbers and costs", factList(facts)),
    plots && section("Learning curves", curvePlots(plots.loss, plots.accuracy)),
    diagnosis && section("Where it fails", diagnosisTables(diagnosis)),
    section("Prompts and replies", talk(calls, known)),
  ];
}

// Opens the dialog with a title, and fills it when its content is there.
async function openDialog(title, content, tools = []) {
  const box = dialog();
  const body = make("div", { class: "content" }, make("p", { class: "note" }, "Unpacking …"));
  const close = make("button", { type: "button", class: "plain close", "aria-label": "Close", onclick: () => box.close() }, "×");
  box.replaceChildren(make("header", {}, make("h2", { tabindex: -1 }, title), make("div", { class: "tools" }, ...tools, close)), body);
  box.setAttribute("aria-label", title);
  if (!box.open) box.showModal();
  box.scrollTop = 0;
  find("h2", box).focus({ preventScroll: true });
  try {
    body.replaceChildren(...(await content()).flat().filter(Boolean));
  } catch (error) {
    body.replaceChildren(make("p", { class: "remark" }, `This cannot be shown: ${error.message}. The run's archive and tables have it all.`));
  }
  for (const figure of all("svg.figure", body)) hoverable(figure);
}

function openCandidate(row) {
  const at = list.order.indexOf(row);
  const step = (by, text, label) => {
    const to = at < 0 ? undefined : list.order[at + by];
    return to !== undefined && make("a", { class: "button", href: `#c${to}`, "aria-label": label }, text);
  };
  const compare = make("button", { type: "button", class: "button", onclick: () => { pick(row); dialog().close(); } },
    list.picked.includes(row) ? "Do not compare" : "Pick for comparison");
  const other = list.picked.find((picked) => picked !== row);
  const versus = other !== undefined && make("a", { class: "button", href: `#c${other}-c${row}` }, `Compare with ${data.index.id[other]}`);
  const title = `${data.index.id[row] || "No program"}, ${titleOf(row)}`;
  return openDialog(title, () => candidatePage(row), [step(-1, "‹", "The one above in the table"), step(1, "›", "The one below in the table"), versus || compare]);
}

// The address says what is open, so that a reader can go back, and send a link.
function route() {
  if (!data.index) return undefined; // It is called again once the index is there.
  const match = location.hash.match(/^#c(\d+)(?:-c(\d+))?$/);
  const known = (row) => row !== undefined && Number(row) < data.index.id.length;
  if (!match || !known(match[1]) || (match[2] && !known(match[2]))) {
    if (dialog().open) dialog().close();
    return undefined;
  }
  return match[2] ? openComparison(Number(match[1]), Number(match[2])) : openCandidate(Number(match[1]));
}

function prepareDialog() {
  const box = make("dialog", { id: "opened" });
  box.addEventListener("close", () => {
    if (/^#c\d+/.test(location.hash)) history.pushState(null, "", location.pathname + location.search);
  });
  // A click beside the dialog closes it.
  box.addEventListener("click", (event) => { if (event.target === box) box.close(); });
  document.body.append(box);
  addEventListener("hashchange", route);
}
