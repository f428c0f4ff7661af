//! The page in a headless browser that clicks: sort, filter, open, compare, hover. Where there is no browser, these tests are
//! skipped, and say so.

mod common;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use common::browser::{Browser, found};
use tempfile::TempDir;

/// A browser; None where there is none, which is said past the capturing of tests' output.
fn browser() -> Option<Browser> {
    let program = found();
    if program.is_none() {
        let _ = writeln!(std::io::stderr(), "SKIPPED: no browser (Debian: apt-get install chromium)");
    }
    program.map(|program| Browser::start(&program))
}

fn page(folder: &Path, arguments: &[&str]) -> PathBuf {
    Command::cargo_bin("report")
        .expect("built")
        .current_dir(folder)
        .args(["-o", "report.html", "--no-svg", "--no-tables", "--quiet"])
        .args(arguments)
        .assert()
        .success();
    folder.join("report.html")
}

/// A made-up run with exchanges.
fn made_up(said: &str) -> (TempDir, PathBuf) {
    let folder = TempDir::new().expect("a folder");
    common::write_run(folder.path(), "r", "spark", 0, 60);
    common::write_transcripts(folder.path(), &common::rows("r", "spark", 0, 60), said, 40);
    let page = page(folder.path(), &["archive.parquet"]);
    (folder, page)
}

/// Cells of a column of the table of all candidates.
fn column(browser: &mut Browser, class: &str) -> Vec<String> {
    let cells =
        browser.value(&format!("[...document.querySelectorAll('#explorer td.{class}')].map((cell) => cell.innerText)"));
    serde_json::from_value(cells).expect("texts")
}

/// The element of the first kind whose text is this.
fn by_text(selector: &str, text: &str) -> String {
    format!("[...document.querySelectorAll('{selector}')].find((e) => e.textContent.trim() === '{text}')")
}

#[test]
fn tables_sort_and_filter_candidates_open_and_two_are_compared() {
    let Some(mut browser) = browser() else { return };
    let (_folder, page) = made_up("model");
    browser.open(&page, 1100, false);

    // The best first; a click on a heading sorts by it, another one the other way round.
    let attempts = column(&mut browser, "c-attempt");
    let ood = column(&mut browser, "c-ood");
    let number = |text: &String| text.split(' ').next().and_then(|n| n.parse::<f64>().ok());
    assert!(number(&ood[0]) >= number(&ood[5]), "{ood:?}");
    browser.click(&by_text("#explorer th button", "Attempt"));
    browser.click(&by_text("#explorer th button", "Attempt"));
    assert_eq!(column(&mut browser, "c-attempt")[..3], ["0", "1", "2"]);
    browser.click(&by_text("#explorer th button", "OOD (%)"));
    assert_eq!(column(&mut browser, "c-ood")[0], ood[0]);
    browser.click(&by_text("#explorer th button", "#"));
    assert_eq!(column(&mut browser, "c-attempt"), attempts);
    browser.click("document.querySelector('#explorer .more')");
    assert_eq!(column(&mut browser, "c-attempt").len(), 61, "all candidates, those without a score too");
    // Plain tables sort, too.
    let first = "document.querySelector('table.t-factors tbody tr').innerText";
    let before = browser.value(first);
    browser.click("document.querySelector('table.t-factors th:nth-child(2) button')");
    browser.click("document.querySelector('table.t-factors th:nth-child(2) button')");
    assert_ne!(browser.value(first), before);

    // Filters: words, and what became of them.
    browser.click("document.querySelector('#explorer input[type=search]')");
    browser.type_text("softmax rejected");
    browser.until("!document.querySelector('#explorer .count').innerText.startsWith('61 of')");
    let edits = column(&mut browser, "c-edit");
    assert!(
        !edits.is_empty() && edits.iter().all(|edit| edit.contains("softmax") && edit.contains("rejected")),
        "{edits:?}"
    );
    assert!(browser.text("#explorer .count").ends_with("of 61 candidates"));

    // A rejected one opens with what was found, and the page of its rule.
    browser.click("document.querySelector('#explorer td.c-id a')");
    browser.until("document.querySelector('#opened[open] .finding')");
    assert!(!browser.text("#opened").contains("What it says"));
    browser.click("document.querySelector('#opened .finding summary')");
    browser.until("document.querySelector('#opened .rule')?.innerText.includes('What it says')");
    browser.escape();
    browser.until("!document.querySelector('#opened').open && location.hash === ''");

    // The winner opens with all that is known of it.
    // By script, since the closing of the first one gives the focus back to its link, on some machines late.
    browser.value(
        "(() => { const e = document.querySelector('#explorer input[type=search]'); e.value = ''; \
         e.dispatchEvent(new Event('input', { bubbles: true })); })()",
    );
    browser.until("document.querySelector('#explorer .count').innerText.startsWith('61 of 61')");
    browser.click("document.querySelector('#explorer tbody tr td.c-edit')");
    // What was opened before stays in the closed dialogue until this one is unpacked.
    browser.until("document.querySelector('#opened[open] .numbers') && !document.querySelector('#opened .finding')");
    let said = browser.text("#opened");
    for part in [
        "Changes to its parent",
        "Numbers and costs",
        "Learning curves",
        "Where it fails",
        "Prompts and replies",
        "Call 1: writer asks model",
    ] {
        assert!(said.contains(part), "{part} is missing in:\n{said}");
    }
    assert!(browser.value("document.querySelectorAll('#opened .diff tr.add').length").as_i64() > Some(0));
    browser.click(
        "[...document.querySelectorAll('#opened summary')].find((e) => e.textContent.startsWith('Prompt (user)'))",
    );
    browser.until("document.querySelector('#opened .talk')?.innerText.includes('model router')");
    browser.click(
        "[...document.querySelectorAll('#opened summary')].find((e) => e.textContent.startsWith('The whole program'))",
    );
    browser.until("document.querySelectorAll('#opened table.source tr').length > 100");
    // On to the next in the table, and back.
    let title = browser.text("#opened h2");
    browser.click(&by_text("#opened a.button", "›"));
    browser.until(&format!("document.querySelector('#opened h2').innerText !== {}", serde_json::json!(title)));
    browser.value("history.back()");
    browser.until(&format!("document.querySelector('#opened h2').innerText === {}", serde_json::json!(title)));
    browser.click("document.querySelector('#opened .close')");

    // Two are ticked and compared.
    browser.click("document.querySelectorAll('#explorer input[type=checkbox]')[0]");
    browser.click("document.querySelectorAll('#explorer input[type=checkbox]')[3]");
    browser.click(&by_text("#picked a", "Compare the two"));
    browser.until("document.querySelector('#opened table.versus')");
    let said = browser.text("#opened");
    assert!(said.contains("points of OOD accuracy against") && said.contains("Parameters"), "{said}");
    assert!(browser.value("document.querySelectorAll('#opened svg.figure path.line').length").as_i64() >= Some(4));
    assert!(browser.value("document.querySelectorAll('#opened .diff tr').length").as_i64() > Some(4));
    browser.escape();

    // Marks of figures say what they are, and open.
    browser.point_at("document.querySelector('#descent [data-c]')");
    browser.until("!document.querySelector('#tip').hidden");
    assert!(browser.text("#tip").contains("seed program"), "{}", browser.text("#tip"));
    // Lines say their values.
    browser.value(
        "(() => { const svg = document.querySelector('#loss-by-length svg'); svg.scrollIntoView({ block: 'center' }); const longest = \
         [...svg.querySelectorAll('path.line')].map((line) => line.getAttribute('d')).sort((a, b) => b.length - a.length)[0]; const [, \
         x, y] = longest.match(/L([\\d.]+) ([\\d.]+)/); const at = new DOMPoint(x, y).matrixTransform(svg.getScreenCTM()); \
         svg.dispatchEvent(new PointerEvent('pointermove', { clientX: at.x, clientY: at.y })); })()",
    );
    assert!(
        browser.text("#tip").starts_with("optimiser step ") && browser.text("#tip").contains("training loss of"),
        "{}",
        browser.text("#tip")
    );
    browser.click("document.querySelector('#best-so-far circle[data-c]')");
    browser.until("document.querySelector('#opened').open");
    assert_eq!(browser.complaints, Vec::<String>::new());
    let outside: Vec<&String> =
        browser.requests.iter().filter(|url| !url.starts_with("file:") && *url != "about:blank").collect();
    assert!(outside.is_empty(), "{outside:?}");
}

#[test]
fn a_browser_that_cannot_unpack_says_so_and_shows_the_best() {
    let Some(mut browser) = browser() else { return };
    let (_folder, page) = made_up("model");
    let without = serde_json::json!({"source": "delete window.DecompressionStream"});
    browser.call("Page.addScriptToEvaluateOnNewDocument", without);
    browser.open(&page, 1000, false);
    assert!(browser.text("#explorer").contains("cannot unpack the page's data"), "{}", browser.text("#explorer"));
    let rows = browser.value(
        "[...document.querySelectorAll('table.t-candidates tbody tr')].filter((row) => row.offsetHeight > 0).length",
    );
    assert_eq!(rows, 20, "the best are listed");
    browser.click("document.querySelector('table.t-candidates th:nth-child(3) button')");
    assert_eq!(browser.complaints, Vec::<String>::new(), "tables sort all the same");
}

#[test]
fn small_dark_and_several_runs() {
    let Some(mut browser) = browser() else { return };
    let (_folder, one) = made_up("model");
    browser.open(&one, 400, true);
    let width = "document.documentElement.scrollWidth";
    assert_eq!(browser.value(width), 400, "the page scrolls sideways");
    assert_eq!(browser.value("getComputedStyle(document.body).backgroundColor"), "rgb(21, 24, 28)");
    browser.value("location.hash = 'c3'");
    browser.until("document.querySelector('#opened .numbers')");
    assert!(browser.value("document.querySelector('#opened').scrollWidth").as_i64() <= Some(400));

    let folder = TempDir::new().expect("a folder");
    for (method, seed) in [("spark", 0), ("eoh", 0)] {
        common::write_run(&folder.path().join(method), method, method, seed, 20);
    }
    let several = page(folder.path(), &["*/archive.parquet"]);
    browser.open(&several, 1100, false);
    let runs = column(&mut browser, "c-run");
    assert!(runs.contains(&"eoh".to_owned()) && runs.contains(&"spark".to_owned()), "{runs:?}");
    let choose = "(() => { const s = document.querySelector('#explorer select'); s.value = '1'; s.dispatchEvent(new Event('change')); })()";
    browser.value(choose);
    assert!(column(&mut browser, "c-run").iter().all(|run| run == "spark"));
    // A mark of the second run opens that run's row.
    browser.value("location.hash = document.querySelectorAll('#explorer tbody tr').length ? `c${document.querySelector('#explorer tbody tr').dataset.row}` : ''");
    browser.until("document.querySelector('#opened h2')?.innerText.includes('spark')");
    assert_eq!(browser.complaints, Vec::<String>::new());
}

#[test]
fn hostile_texts_do_nothing_in_a_browser() {
    let Some(mut browser) = browser() else { return };
    let attack =
        "</script><script>window.pwned = 1</script><img src=x onerror=\"window.pwned = 2\">${window.pwned = 3}`";
    let folder = TempDir::new().expect("a folder");
    common::write_hostile_run(folder.path(), attack);
    let page = page(folder.path(), &["archive.parquet", "--title", attack]);
    browser.open(&page, 1000, false);
    let count = browser.value("document.querySelectorAll('#explorer tbody tr').length").as_i64().expect("rows");
    for row in 0..count.min(12) {
        browser.value(&format!("location.hash = 'c{row}'"));
        browser.until(&format!("location.hash === '#c{row}' && document.querySelector('#opened .numbers')"));
        browser.value("document.querySelectorAll('#opened details').forEach((e) => { e.open = true; })");
    }
    browser.value("location.hash = 'c1-c2'");
    browser.until("document.querySelector('#opened .versus')");
    assert_eq!(browser.value("typeof window.pwned"), "undefined");
    assert_eq!(browser.value("document.querySelectorAll('img, iframe, #opened script, #opened style').length"), 0);
    assert!(browser.text("#opened").contains("onerror"), "what was written is shown as it is");
    assert_eq!(browser.complaints, Vec::<String>::new());
    // The policy would stop what got in all the same.
    browser.value("document.body.append(Object.assign(document.createElement('b'), { id: 'late' }))");
    let blocked = browser.value("(() => { try { document.querySelector('#late').innerHTML = '<i>x</i>'; return false; } catch { return true; } })()");
    assert_eq!(blocked, true);
}

#[test]
fn a_thousand_candidates_stay_quick() {
    let folder = TempDir::new().expect("a folder");
    let rows = common::write_large_run(folder.path(), 1000);
    common::write_talk(folder.path(), &rows);
    let began = std::time::Instant::now();
    let page = page(folder.path(), &["archive.parquet"]);
    let made = began.elapsed();
    let size = fs::metadata(&page).expect("the page").len();
    assert!(size < 2_000_000, "{size} bytes");
    assert!(made.as_secs() < 60, "{made:?}");
    let _ = writeln!(std::io::stderr(), "1,000 candidates: {size} bytes, made in {made:.1?}");
    let Some(mut browser) = browser() else { return };
    browser.open(&page, 1000, false);
    let times = browser.value(
        "(async () => { const start = performance.now(); location.hash = 'c700'; while (!document.querySelector('#opened .numbers')) \
         await new Promise((done) => setTimeout(done, 5)); return performance.now() - start; })()",
    );
    assert!(times.as_f64() < Some(10_000.0), "{times} ms");
    let _ = writeln!(std::io::stderr(), "the first candidate opens in {:.0} ms", times.as_f64().unwrap_or(0.0));
    let said = browser.text("#opened");
    assert!(
        said.contains("Prompts and replies") && said.contains("Directive") && said.contains("Widen the projection"),
        "{said}"
    );
    // All but the winner, which has a mark of its own.
    assert_eq!(browser.value("document.querySelector('[data-cs]') && [...document.querySelectorAll('#descent [data-cs]')].reduce((n, e) => n + e.dataset.cs.split(' ').length, 0)"), 999);
    browser.escape();
    browser.until("!document.querySelector('#opened').open");
    browser.point_at("document.querySelector('#descent svg path.star[data-c]')");
    browser.until("!document.querySelector('#tip').hidden");
    assert_eq!(browser.complaints, Vec::<String>::new());
}
