// Differences between two programs, line by line.

const CONTEXT = 3;

// Pairs of equal lines, by the longest common subsequence of what lies between common ends.
function common(a, b) {
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
  const [n, m] = [a.length - start - end, b.length - start - end];
  const pairs = Array.from({ length: start }, (_, i) => [i, i]);
  // Programs that have nothing in common would take too long to compare: they are shown one after the other.
  if (n * m <= 9e6) {
    const width = m + 1;
    const best = new Uint16Array((n + 1) * width);
    for (let i = n - 1; i >= 0; i -= 1) {
      for (let j = m - 1; j >= 0; j -= 1) {
        best[i * width + j] = a[start + i] === b[start + j]
          ? best[(i + 1) * width + j + 1] + 1
          : Math.max(best[(i + 1) * width + j], best[i * width + j + 1]);
      }
    }
    for (let i = 0, j = 0; i < n && j < m;) {
      if (a[start + i] === b[start + j]) pairs.push([start + i++, start + j++]);
      else if (best[(i + 1) * width + j] >= best[i * width + j + 1]) i += 1;
      else j += 1;
    }
  }
  for (let i = end; i > 0; i -= 1) pairs.push([a.length - i, b.length - i]);
  return pairs;
}

// Lines as [kind, old number, new number, text].
function differences(a, b) {
  const lines = [];
  let [i, j] = [0, 0];
  for (const [x, y] of [...common(a, b), [a.length, b.length]]) {
    while (i < x) lines.push(["cut", (i += 1), null, a[i - 1]]);
    while (j < y) lines.push(["add", null, (j += 1), b[j - 1]]);
    if (x < a.length) lines.push(["same", (i += 1), (j += 1), a[x]]);
  }
  return lines;
}

// What differs within a line that replaces another: the part between common ends.
function marked(text, other) {
  if (other === undefined || !text.trim()) return [text];
  let start = 0;
  while (start < text.length && start < other.length && text[start] === other[start]) start += 1;
  let end = 0;
  while (end < text.length - start && end < other.length - start && text[text.length - 1 - end] === other[other.length - 1 - end]) end += 1;
  if (!text.slice(0, start).trim() && end === 0) return [text];
  return [text.slice(0, start), make("mark", {}, text.slice(start, text.length - end)), text.slice(text.length - end)];
}

function diffTable(a, b, name) {
  const lines = differences(a, b);
  const near = lines.map(() => false);
  lines.forEach(([kind], at) => {
    if (kind === "same") return;
    for (let i = Math.max(0, at - CONTEXT); i <= Math.min(lines.length - 1, at + CONTEXT); i += 1) near[i] = true;
  });
  const added = lines.filter(([kind]) => kind === "add").length;
  const cut = lines.filter(([kind]) => kind === "cut").length;
  if (added + cut === 0) return [make("p", { class: "note" }, "The text is the same.")];
  const body = make("tbody");
  lines.forEach(([kind, old, now, text], at) => {
    if (!near[at]) return;
    if (at > 0 && !near[at - 1] && body.rows.length) body.append(make("tr", { class: "gap" }, make("td", { colspan: 4 }, "⋯")));
    // The k-th line of a block of cuts stands for the k-th of the additions after it.
    const other = kind === "same" ? undefined : partner(lines, at);
    const sign = kind === "add" ? "+" : kind === "cut" ? "−" : "";
    const word = kind === "same" ? null : make("span", { class: "unseen" }, kind === "add" ? "added " : "removed ");
    body.append(make(
      "tr", { class: kind },
      make("td", { class: "no" }, old ?? ""), make("td", { class: "no" }, now ?? ""), make("td", { class: "sign" }, word, sign),
      make("td", { class: "src" }, kind === "same" ? text : marked(text, other)),
    ));
  });
  const table = make("table", { class: "diff" }, make("caption", { class: "unseen" }, `${name}, line by line`), body);
  return [
    make("p", { class: "note" }, `${added} ${added === 1 ? "line" : "lines"} added, ${cut} removed`),
    make("div", { class: "scroll code", tabindex: 0, role: "group", "aria-label": name }, table),
  ];
}

function partner(lines, at) {
  const kind = lines[at][0];
  let first = at;
  while (first > 0 && lines[first - 1][0] === kind) first -= 1;
  let from = first;
  if (kind === "add") {
    while (from > 0 && lines[from - 1][0] === "cut") from -= 1;
    return from < first ? lines[from + at - first]?.[0] === "cut" ? lines[from + at - first][3] : undefined : undefined;
  }
  while (from < lines.length && lines[from][0] === "cut") from += 1;
  const other = lines[from + at - first];
  return other?.[0] === "add" ? other[3] : undefined;
}

const TOKENS = /(#.*$)|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|\b(and|as|assert|break|class|continue|def|del|elif|else|except|False|finally|for|from|global|if|import|in|is|lambda|None|nonlocal|not|or|pass|raise|return|True|try|while|with|yield)\b|\b(\d[\w.]*)/g;

function coloured(text) {
  const parts = [];
  let at = 0;
  for (const match of text.matchAll(TOKENS)) {
    const kind = ["comment", "string", "keyword", "number"].find((_, i) => match[i + 1] !== undefined);
    const marker = kind === "comment" && /===== (BEGIN|END) .* REGION =====/.test(match[0]);
    parts.push(text.slice(at, match.index), make("span", { class: marker ? "marker" : kind }, match[0]));
    at = match.index + match[0].length;
  }
  return [...parts, text.slice(at)];
}

function programTable(lines, name) {
  const rows = lines.map((text, i) => make("tr", {}, make("td", { class: "no" }, i + 1), make("td", { class: "src" }, coloured(text))));
  const table = make("table", { class: "source" }, make("caption", { class: "unseen" }, name), make("tbody", {}, ...rows));
  return make("div", { class: "scroll code", tabindex: 0, role: "group", "aria-label": name }, table);
}
