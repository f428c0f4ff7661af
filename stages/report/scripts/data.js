// The data that is packed into the page: JSON, compressed, in base64.

const data = { index: null, details: null };

async function unpack(id) {
  if (typeof DecompressionStream === "undefined") {
    throw new Error("this browser cannot unpack the page's data (it lacks DecompressionStream)");
  }
  const bytes = Uint8Array.from(atob(find(`#${id}`).textContent.trim()), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

// Unpacked once, when the first candidate is opened.
function details() {
  data.details ??= unpack("details");
  return data.details;
}

const runs = () => data.index.runs;

function runOf(row) {
  return runs().findLastIndex((run) => run.start <= row);
}

// The number of a row by the name that figures have for it: the places of its run, and in that run.
function rowOf(key) {
  const [run, place] = key.split(".").map(Number);
  return runs()[run].start + place;
}

function parentOf(row) {
  const parent = data.index.parent[row];
  return parent === null ? null : runs()[runOf(row)].start + parent;
}

function titleOf(row) {
  const { index } = data;
  const edit = index.edit[row] ? `: ${index.edit[row]}` : "";
  const what = edit === ": seed program" ? "seed program" : `attempt ${index.attempt[row]}, ${index.factor[row]}${edit}`;
  const run = runs().length > 1 ? `${runs()[runOf(row)].name}, ` : "";
  return run + what;
}

function resultOf(row) {
  const { index } = data;
  return index.ood[row] === null ? index.status[row] : `${percent(index.ood[row])} %`;
}

// A text of the pool as its lines.
function linesOf(pool, text) {
  const runs = pool.texts[text];
  const lines = [];
  for (let i = 0; i < runs.length; i += 2) lines.push(...pool.lines.slice(runs[i], runs[i] + runs[i + 1]));
  return lines;
}
