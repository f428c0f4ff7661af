// Every table sorts by a click on its headings; long ones can be filtered.

const LONG = 12;

// What a cell sorts by: its number, where it begins with one, else its text.
function valueOf(cell, numeric) {
  const text = cell?.textContent.trim() ?? "";
  if (!numeric) return text === "–" ? null : text.toLowerCase();
  const match = text.replaceAll("\u202f", "").replaceAll("−", "-").match(/-?[\d.]+(e-?\d+)?/);
  return match ? Number(match[0]) : null;
}

// Nothing comes last, whichever way is up.
function order(a, b, down) {
  if (a === null || b === null) return (a === null) - (b === null);
  const sign = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en");
  return down ? -sign : sign;
}

// A heading that sorts. `sort(down)` is called with the new direction.
function sortable(heading, numeric, sort) {
  const button = make("button", { type: "button", class: "sort" }, ...heading.childNodes);
  heading.append(button);
  button.addEventListener("click", () => {
    const before = heading.getAttribute("aria-sort");
    const down = before ? before === "ascending" : numeric;
    for (const other of all("th[aria-sort]", heading.parentElement)) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    sort(down);
  });
}

function enhance(table) {
  const body = table.tBodies[0];
  const headings = all("thead th", table);
  if (!body || body.rows.length < 2 || body.rows[0].cells.length < headings.length) return;
  headings.forEach((heading, column) => {
    const numeric = heading.classList.contains("n");
    sortable(heading, numeric, (down) => {
      const rows = [...body.rows].map((row) => [valueOf(row.cells[column], numeric), row]);
      rows.sort((a, b) => order(a[0], b[0], down));
      body.append(...rows.map(([, row]) => row));
    });
  });
  if (body.rows.length <= LONG) return;
  const count = make("span", { class: "quiet", role: "status" });
  const input = make("input", { type: "search", placeholder: "Filter rows", "aria-label": `Filter: ${table.caption?.textContent ?? "table"}` });
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of body.rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += row.hidden ? 0 : 1;
    }
    count.textContent = words.length ? `${shown} of ${body.rows.length} rows` : "";
  });
  table.parentElement.before(make("p", { class: "filter" }, input, count));
}
