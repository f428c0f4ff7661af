async function start() {
  for (const table of all("main table")) if (table.tHead) enhance(table);
  prepareDialog();
  if (find("#index")) await startExploring();
  refresh();
  document.documentElement.classList.add("ready");
}

async function startExploring() {
  try {
    data.index = await unpack("index");
  } catch (error) {
    find("#explorer").replaceChildren(make("p", { class: "remark" }, `The list of all candidates cannot be shown: ${error.message}. The tables beside the page have it.`));
    find("#explorer").hidden = false;
    return;
  }
  // Ranks are those within a run.
  if (runs().length > 1) Object.assign(list, { sort: "fitness", down: true });
  takeChoices();
  explorer();
  for (const figure of all("svg.figure")) hoverable(figure);
  route();
}

start();
