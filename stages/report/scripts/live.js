// While the search is on, the page opens itself anew; what the reader has chosen stays.

const KEPT = ["sort", "down", "words", "run", "status", "factor", "shown", "picked"];
const PLACE = `emberline ${location.pathname}`;

function keepChoices() {
  try {
    sessionStorage.setItem(PLACE, JSON.stringify([KEPT.map((key) => list[key]), scrollY]));
  } catch {
    // Without storage, the reader chooses again.
  }
}

function takeChoices() {
  try {
    const [kept, place] = JSON.parse(sessionStorage.getItem(PLACE) ?? "[[]]");
    sessionStorage.removeItem(PLACE);
    kept.forEach((value, i) => { list[KEPT[i]] = value; });
    list.picked = list.picked.filter((row) => row < data.index.id.length);
    if (place) requestAnimationFrame(() => scrollTo(0, place));
  } catch {
    // What is kept is of another page.
  }
}

function refresh() {
  const every = Number(document.body.dataset.live);
  if (!every) return;
  setInterval(() => {
    // A reader who has something open, or is writing, is not disturbed.
    const busy = dialog().open || document.activeElement?.matches("input, select") || !tip.hidden;
    if (!busy && document.visibilityState === "visible") { keepChoices(); location.reload(); }
  }, every * 1000);
}
