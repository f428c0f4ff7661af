//! The program from outside: pages, files, and what happens with bad input.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use assert_cmd::Command;
use base64::Engine as _;
use schemas::{Candidate, Status};
use sha2::Digest as _;
use tempfile::TempDir;

fn report(folder: &Path, arguments: &[&str]) -> assert_cmd::assert::Assert {
    Command::cargo_bin("report").expect("built").current_dir(folder).args(arguments).assert()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// All files below a folder with their bytes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut left = vec![folder.to_path_buf()];
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(&folder).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                left.push(path);
            } else {
                found.insert(path.display().to_string(), fs::read(&path).expect("readable"));
            }
        }
    }
    found
}

/// Whether tags are balanced and attributes quoted: a reader for the SVG that we write, which is XML.
fn assert_well_formed(name: &str, xml: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = xml;
    while let Some(start) = rest.find('<') {
        assert!(!rest[..start].contains('>'), "{name}: a bare > before {}", &rest[start..rest.len().min(start + 60)]);
        let end = start + rest[start..].find('>').unwrap_or_else(|| panic!("{name}: a tag without an end"));
        let tag = &rest[start + 1..end];
        assert_eq!(tag.matches('"').count() % 2, 0, "{name}: <{tag}>");
        match tag {
            _ if tag.starts_with('?') || tag.ends_with('/') => {}
            _ if tag.starts_with('/') => assert_eq!(open.pop(), Some(&tag[1..]), "{name}"),
            _ => open.push(tag.split_whitespace().next().unwrap_or_default()),
        }
        rest = &rest[end + 1..];
    }
    assert!(open.is_empty(), "{name}: {open:?} left open");
}

#[test]
fn a_run_becomes_a_page_with_figures_and_tables() {
    let folder = TempDir::new().expect("a folder");
    common::write_run(folder.path(), "spark-dfs-seed0", "spark", 0, 40);
    report(folder.path(), &["archive.parquet"]).success();
    let page = fs::read_to_string(folder.path().join("report.html")).expect("the page");
    for part in [
        "Best accuracy over evaluated candidates",
        "Executable and entangled proposals",
        "Accuracy against size and arithmetic",
        "Learning curves",
        "Entanglement, and how far edits reach",
        "Entanglement by kind",
        "How far edits reach",
        "The way there, edit by edit",
        "From the seed program to the winner",
        "Where the winner fails: hints over the run",
        "lesions of 4 operators and channels",
        "in the way",
        "Success by factor",
        "Islands over generations",
        "Cells of the elite archive",
        "Proposals without a score, by reason",
        "Transfer to further tasks",
        "Changes to the seed program",
        "mean of 9 tasks",
        "All settings in force",
        "The tree of descent",
        "Training loss by length",
        "Does a search (spark) find a graph network processor",
        "Not confirmed. The best candidate has",
        "href=\"archive.parquet\"",
        "href=\"tables&#x2f;candidates.csv\"",
        "built-in proposer",
        "83.74",
    ] {
        assert!(page.contains(part), "the page lacks: {part}");
    }
    let figures = files(&folder.path().join("figures"));
    assert_eq!(figures.len(), 14, "{:?}", figures.keys());
    for (name, svg) in &figures {
        assert_well_formed(name, &text(svg));
        assert!(!text(svg).contains("var(--"), "{name}: plain colours only");
    }
    let csv = fs::read_to_string(folder.path().join("tables/transfer.csv")).expect("the table");
    let cells: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(cells[0][..6], ["task", "program", "test_acc", "test_acc_std", "difference", "published"]);
    assert_eq!(cells.len(), 1 + 9 * 2 + 2 + 2, "tasks, means, published means:\n{csv}");
    assert!(cells[1][4].is_empty() && cells[2][4].parse::<f64>().is_ok_and(|d| d > 0.0), "{csv}");
    assert_eq!([cells[21][5], cells[22][5]], ["0.8392", "0.7122"], "{csv}");
    assert_eq!(cells[21][1], "SPARK (published †)");
    let drawn = fs::read_to_string(folder.path().join("figures/transfer.svg")).expect("the figure");
    assert!(drawn.contains("mean of the tasks") && drawn.contains("difference") && !drawn.contains("published"));
    report(folder.path(), &["archive.parquet", "--published"]).success();
    let drawn = fs::read_to_string(folder.path().join("figures/transfer.svg")).expect("the figure");
    assert!(drawn.contains("SPARK: 83.92 %, published"), "{drawn}");

    // Without scripts, the page lists the best; the table beside it has all.
    let (_, listed) = page.split_once("<table class=\"t-candidates\">").expect("a list");
    let (listed, _) = listed.split_once("</table>").expect("its end");
    assert_eq!(listed.matches("<tr>").count(), 1 + 20);
    assert!(page.contains("<noscript><p class=\"note\">Without scripts, this is the list of the best;"));
    let csv = fs::read_to_string(folder.path().join("tables/candidates.csv")).expect("the table");
    assert_eq!(csv.lines().count(), 1 + 41, "all candidates, those without a score too");
    assert!(csv.starts_with("rank,candidate_id,attempt,factor,edit,fitness,ood_acc,"), "{csv}");
    assert!(fs::read_to_string(folder.path().join("tables/losses.md")).expect("the table").contains("| ---"));
}

#[test]
fn the_page_asks_nothing_of_the_network_and_runs_only_its_own_script() {
    let folder = TempDir::new().expect("a folder");
    common::write_run(folder.path(), "r", "spark", 1, 30);
    report(folder.path(), &["archive.parquet"]).success();
    let page = fs::read_to_string(folder.path().join("report.html")).expect("the page");
    let (_, script) = page.split_once("<script>").expect("a script");
    let (script, rest) = script.split_once("</script>").expect("its end");
    assert!(!rest.contains("<script"), "one script, and it comes last");
    // Its digest is named by the page's policy, and so it is the only one that a browser runs.
    let digest = base64::prelude::BASE64_STANDARD.encode(sha2::Sha256::digest(script));
    assert!(page.contains(&format!("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; ")));
    for forbidden in
        ["innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "Function(", "fetch(", "import("]
    {
        assert!(!script.contains(forbidden), "{forbidden}");
    }
    let page = page.replace("http://www.w3.org/2000/svg", "");
    for forbidden in ["http:", "https:", "<link", "@import", "url(", "<img", "<iframe", "src="] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert!(page.contains("Content-Security-Policy"));
}

#[test]
fn texts_of_candidates_stay_texts() {
    let folder = TempDir::new().expect("a folder");
    let attack = "</title></svg></pre><script>alert(1)</script><img src=x onerror=alert(1)>\"'&\u{202e}\u{0}";
    let mut rows = common::rows(attack, "spark", 2, 30);
    for row in &mut rows {
        row.method = attack.into();
        row.edit = row.edit.as_ref().map(|_| attack.into());
        row.directive = Some(attack.into());
        row.reason = Some(attack.into());
        row.source = format!("{}\n# {attack}\nx = '{attack}'\n{attack}", row.source);
        row.cell = row.cell.as_ref().map(|_| attack.into());
        row.task = Some(attack.into());
        row.device = Some(attack.into());
        for diagnostic in row.diagnostics.iter_mut().flatten() {
            diagnostic.message = attack.into();
            diagnostic.category = attack.into();
            diagnostic.code = attack.into();
            diagnostic.help = Some(attack.into());
        }
    }
    common::write_rows(&folder.path().join("archive.parquet"), rows);
    fs::write(folder.path().join("config.toml"), "[search]\nmethod = \"<script>alert(2)</script>\"\n")
        .expect("settings");
    report(folder.path(), &["archive.parquet", "--title", "<script>alert(3)</script>"]).success();
    let page = fs::read_to_string(folder.path().join("report.html")).expect("the page");
    assert_eq!(page.matches("<script").count(), 3, "two of data, and the page's own");
    assert!(!page.contains("<img"));
    assert!(!page.contains('\u{202e}') && !page.contains('\u{0}'));
    for (name, svg) in files(&folder.path().join("figures")) {
        assert_well_formed(&name, &text(&svg));
        assert!(!text(&svg).contains("<script"), "{name}");
    }
    let names: Vec<_> = files(folder.path()).into_keys().collect();
    assert!(names.iter().all(|name| !name.contains('<')), "{names:?}");
}

#[test]
fn equal_archives_give_equal_bytes() {
    let make = |folder: &Path| {
        common::write_run(&folder.join("a"), "a", "spark", 0, 30);
        common::write_run(&folder.join("b"), "b", "eoh", 1, 30);
        report(folder, &["*/archive.parquet", "--published"]).success();
        fs::remove_dir_all(folder.join("a")).expect("removable");
        fs::remove_dir_all(folder.join("b")).expect("removable");
    };
    let folder = TempDir::new().expect("a folder");
    make(folder.path());
    let first = files(folder.path());
    make(folder.path());
    assert!(first == files(folder.path()), "a second report differs");
    assert!(first.len() > 30);
}

#[test]
fn several_runs_stand_side_by_side() {
    let folder = TempDir::new().expect("a folder");
    for (method, seed) in [("spark", 0), ("spark", 1), ("eoh", 0), ("eoh", 1)] {
        let run = format!("{method}-{seed}");
        common::write_run(&folder.path().join(&run), &run, method, seed, 30);
    }
    report(folder.path(), &["*/archive.parquet", "-o", "out/compare.html"]).success();
    let page = fs::read_to_string(folder.path().join("out/compare.html")).expect("the page");
    assert_eq!(page.matches("<details class=\"run\"").count(), 4);
    let (head, _) = page.split_once("</header>").expect("a head");
    for part in
        ["not by a language model", "p = 0.50 at the least", "Profile of all runs: hidden size 32, 120 training steps"]
    {
        assert!(head.contains(part), "the head of the page lacks: {part}");
    }
    let drawn = fs::read_to_string(folder.path().join("out/figures/tradeoff.svg")).expect("the figure");
    let (left, _) = drawn.split_once(">MACs per message-passing step<").expect("two panels");
    let (dots, winners) = left.split_once("class=\"star halo").expect("winners");
    assert!(dots.contains("class=\"faint") && !winners.contains("class=\"faint"), "winners lie on top of all dots");
    let table = fs::read_to_string(folder.path().join("out/tables/comparison.csv")).expect("the table");
    assert_eq!(
        table.lines().map(|line| line.split(',').take(2).collect::<Vec<_>>().join(",")).collect::<Vec<_>>(),
        ["method,runs", "eoh,2", "spark,2"]
    );
    let lead = page.find("How large the differences are, and how sure").expect("effects");
    assert!(lead < page.find("Best OOD (%)").expect("means"), "a comparison leads with effects and intervals");
    let effects = fs::read_to_string(folder.path().join("out/tables/effects.csv")).expect("the table");
    let cells: Vec<Vec<&str>> = effects.lines().map(|line| line.split(',').collect()).collect();
    let rows: Vec<_> = cells[1..].iter().map(|row| (row[0], row[1], row[2], row[3], row[5])).collect();
    assert_eq!(
        rows,
        ["winner_test", "winner_ood", "area_under_best"].map(|outcome| (outcome, "eoh", "spark", "2", "yes")),
        "{effects}"
    );
    let column = |name: &str| cells[0].iter().position(|key| *key == name).expect("a column");
    let number = |row: &[&str], name: &str| row[column(name)].parse::<f64>().expect("a number");
    for row in &cells[1..] {
        assert!(number(row, "student_low") < number(row, "difference"), "{effects}");
        assert!(number(row, "difference") < number(row, "student_high"), "{effects}");
        assert!((number(row, "mean") - number(row, "baseline_mean") - number(row, "difference")).abs() < 1e-12);
        assert_eq!((number(row, "p_smallest"), row[column("exact")]), (0.5, "yes"));
    }
    let by_run = fs::read_to_string(folder.path().join("out/tables/edit_outcomes_by_run.csv")).expect("the table");
    assert!(by_run.lines().any(|line| line.starts_with("spark,spark-1,1,reach,entangled,")), "{by_run}");
    report(folder.path(), &["*/archive.parquet", "-o", "out/other.html", "--baseline", "eoh", "--tables", "out/other"])
        .success();
    let other = fs::read_to_string(folder.path().join("out/other/effects.csv")).expect("the table");
    assert!(other.lines().nth(1).is_some_and(|line| line.starts_with("winner_test,spark,eoh,")), "{other}");
    let done = report(folder.path(), &["*/archive.parquet", "--baseline", "none"]).failure().code(2);
    assert!(text(&done.get_output().stderr).contains("eoh, spark"));
    let mut identifiers: Vec<&str> = page.split(" id=\"").skip(1).filter_map(|part| part.split('"').next()).collect();
    let all = identifiers.len();
    identifiers.sort_unstable();
    identifiers.dedup();
    assert_eq!(identifiers.len(), all, "identifiers are unique on the page");
}

#[test]
fn little_or_broken_data_still_makes_a_page() {
    let folder = TempDir::new().expect("a folder");
    let rows = common::rows("r", "spark", 1, 12);
    let keep = |f: &dyn Fn(&Candidate) -> bool| rows.iter().filter(|r| f(r)).cloned().collect::<Vec<_>>();
    let mut without_seed = keep(&|r| r.attempt > 0);
    without_seed.iter_mut().for_each(|row| row.params = None);
    let mut zero = keep(&|_| true);
    zero.iter_mut().for_each(|row| {
        row.ood_acc = row.ood_acc.map(|_| 0.0);
        row.ood_acc_std = row.ood_acc;
        row.macs = row.macs.map(|_| 0);
    });
    let cases = [
        ("seed", keep(&|r| r.attempt == 0)),
        ("rejected", keep(&|r| r.ood_acc.is_none())),
        ("fresh", vec![Candidate { status: Status::Proposed, ..Candidate::default() }]),
        ("without-seed", without_seed),
        ("zero", zero),
    ];
    common::write_rows(&folder.path().join("empty.parquet"), Vec::new());
    report(folder.path(), &["empty.parquet", "-o", "empty.html"]).failure().code(2);
    assert!(!folder.path().join("empty.html").exists(), "a page about nothing");
    for (name, rows) in cases {
        let archive = format!("{name}.parquet");
        common::write_rows(&folder.path().join(&archive), rows);
        let page = format!("{name}.html");
        report(folder.path(), &[&archive, "-o", &page, "--no-tables", "--svg-dir", name]).success();
        let page = fs::read_to_string(folder.path().join(page)).expect("the page");
        assert!(page.ends_with("</html>\n") || page.ends_with("</html>"), "{name}");
        assert!([">NaN", ">inf<", "± NaN", "NaN %"].iter().all(|text| !page.contains(text)), "{name}");
        for (file, svg) in files(&folder.path().join(name)) {
            assert_well_formed(&file, &text(&svg));
        }
    }
}

#[test]
fn huge_archives_keep_the_page_small() {
    let folder = TempDir::new().expect("a folder");
    let mut rows = common::rows("r", "spark", 3, 5000);
    // sources of a real search do not grow with every edit as these do
    rows.iter_mut().for_each(|row| {
        row.source = common::SEED_PROGRAM.into();
        row.parent_source = None;
    });
    common::write_rows(&folder.path().join("archive.parquet"), rows);
    report(folder.path(), &["archive.parquet"]).success();
    let size = fs::metadata(folder.path().join("report.html")).expect("the page").len();
    assert!(size < 2_000_000, "{size} bytes");
}

#[test]
fn the_summary_is_json_with_the_winner() {
    let folder = TempDir::new().expect("a folder");
    common::write_run(folder.path(), "r", "spark", 0, 30);
    let done = report(folder.path(), &["archive.parquet", "--json", "--no-svg", "--no-tables", "--quiet"]).success();
    let summary: serde_json::Value = serde_json::from_slice(&done.get_output().stdout).expect("JSON");
    let run = &summary["runs"][0];
    assert_eq!(run["attempts"], 30);
    assert!(run["best"]["ood_acc"].as_f64() >= run["seed_program"]["ood_acc"].as_f64());
    assert_eq!(run["best"]["seeds"], 3);
    assert!(done.get_output().stderr.is_empty());
    assert!(!folder.path().join("figures").exists() && !folder.path().join("tables").exists());
}

#[test]
fn rows_from_a_pipe_and_a_page_to_a_pipe() {
    let folder = TempDir::new().expect("a folder");
    common::write_rows(&folder.path().join("rows.jsonl"), common::rows("piped", "spark", 0, 10));
    let rows = fs::read(folder.path().join("rows.jsonl")).expect("rows");
    let mut command = Command::cargo_bin("report").expect("built");
    let done = command.current_dir(folder.path()).args(["-", "-o", "-"]).write_stdin(rows).assert().success();
    assert!(text(&done.get_output().stdout).contains("<h1>piped</h1>"));
    assert_eq!(files(folder.path()).len(), 1, "nothing but the page is written");
}

#[test]
fn mistakes_are_named_and_leave_old_pages_alone() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path();
    fs::write(path.join("report.html"), "old").expect("writable");
    fs::write(path.join("lacking.jsonl"), "{\"run\":\"r\",\"method\":\"m\"}\n").expect("writable");
    fs::write(path.join("broken.parquet"), "not a table").expect("writable");
    let said = |arguments: &[&str], code: i32| {
        let done = report(path, arguments).failure().code(code);
        text(&done.get_output().stderr)
    };
    let message = said(&["lacking.jsonl"], 1);
    assert!(message.contains("lacking.jsonl") && message.contains("source"), "{message}");
    assert!(said(&["broken.parquet"], 1).contains("broken.parquet"));
    assert!(said(&["gone.parquet"], 1).contains("gone.parquet"));
    assert!(said(&["none/*.parquet"], 1).contains("none/*.parquet"));
    assert!(said(&["lacking.jsonl", "--colour"], 2).contains("--colour"));
    assert!(said(&["lacking.jsonl", "-o", "-", "--json"], 2).contains("stdout"));
    assert_eq!(fs::read_to_string(path.join("report.html")).expect("still there"), "old");

    common::write_run(&path.join("run"), "r", "spark", 0, 5);
    fs::write(path.join("run/config.toml"), "[search\n").expect("writable");
    assert!(said(&["run/archive.parquet"], 1).contains("config.toml"));
}

#[test]
fn help_shows_examples() {
    let folder = TempDir::new().expect("a folder");
    let help = text(&report(folder.path(), &["--help"]).success().get_output().stdout);
    for part in ["Examples:", "--svg-dir", "--table-dir", "--published", "runs/"] {
        assert!(help.contains(part), "{part}");
    }
}

/// Kinds of elements of a page: name, names of attributes, and the values of those that can act.
fn kinds(page: &str) -> BTreeSet<(String, Vec<String>)> {
    let mut found = BTreeSet::new();
    for token in html5gum::Tokenizer::new(page) {
        let Ok(token) = token;
        if let html5gum::Token::StartTag(tag) = token {
            let attributes = tag.attributes.iter().map(|(name, value)| {
                let (name, value) = (text(name), text(&value.value));
                match name.as_str() {
                    "href" => format!("href={}", value.chars().take(1).collect::<String>()),
                    "style" | "class" | "src" => format!("{name}={value}"),
                    _ => name,
                }
            });
            found.insert((text(&tag.name), attributes.collect()));
        }
    }
    found
}

#[test]
fn hostile_texts_add_no_element_no_attribute_no_formula_and_no_markup() {
    let page = |attack: &str| {
        let folder = TempDir::new().expect("a folder");
        common::write_hostile_run(&folder.path().join("a"), attack);
        common::write_hostile_run(&folder.path().join("b"), &format!("{attack}b"));
        report(
            folder.path(),
            &["*/archive.parquet", "-o", "report.html", &format!("--title={}", attack.replace('\0', ""))],
        )
        .success();
        report(folder.path(), &["a/archive.parquet", "-o", "single.html", "--no-svg", "--no-tables"]).success();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).expect("the page");
        let single = read("single.html");
        let details = common::unpacked(&single, "details").to_string();
        assert!(details.contains("Call 0: ") && !details.contains(['\u{202e}', '\u{1b}']));
        (read("report.html") + &single, folder)
    };
    // What a highlighter makes of quotes and signs is the same in both.
    let (harmless, _kept) = page("plain 'x' \"y\" # z @w = 1");
    // What is shown on one line has its own form in a title.
    let (lines, _kept_too) = page("plain\nlines");
    let known: BTreeSet<_> = kinds(&harmless).union(&kinds(&lines)).cloned().collect();
    for attack in [
        "</title></style></svg></script></textarea></pre><script>alert(1)</script><img src=x onerror=alert(1)>",
        "\"><a href=\"javascript:alert(1)\" onclick='x()' style='background:url(http://e.vil)'>",
        "' onload='alert(1)' x='",
        "<!-- --><svg/onload=alert(1)>]]><![CDATA[<b>",
        "{{ 7 * 7 }}{% include 'x' %}&#60;script&#62;\u{202e}\u{0}\u{1b}]0;t\u{7}",
        "=HYPERLINK(\"http://e.vil\";\"x\")|`\n# [a](javascript:b) ![i](http://e.vil)",
        "@SUM(1)+cmd|' /C calc'!A0",
        "-2+3",
        "\t=1",
        "\r\n+1",
    ] {
        let (page, folder) = page(attack);
        let new: Vec<_> = kinds(&page).difference(&known).cloned().collect();
        assert!(new.is_empty(), "{attack:?} adds {new:?}");
        let mut tables = 0;
        for (name, bytes) in files(&folder.path().join("tables")) {
            let content = text(&bytes);
            tables += 1;
            if name.ends_with(".csv") {
                for field in csv_fields(&content) {
                    let begins = field.trim_start_matches(' ').starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
                    assert!(!begins || field.parse::<f64>().is_ok(), "{attack:?} in {name}: {field:?}");
                }
            } else if name.ends_with(".md") {
                // What is escaped is not a bracket of a link.
                assert!(
                    !content.replace("\\]", "").contains("](") && !content.contains("<script"),
                    "{attack:?} in {name}"
                );
                let bars: BTreeSet<usize> = content
                    .lines()
                    .filter(|line| line.starts_with('|'))
                    .map(|line| line.replace("\\|", "").matches('|').count())
                    .collect();
                assert!(bars.len() <= 1, "{attack:?} breaks the table of {name}:\n{content}");
            }
        }
        assert!(tables > 10);
    }
}

/// The fields of a CSV file, without their quotes.
fn csv_fields(content: &str) -> Vec<String> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = content.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                field.push('"');
                chars.next();
            }
            '"' => quoted = !quoted,
            ',' | '\n' if !quoted => fields.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    fields
}

#[test]
fn a_source_of_any_size_makes_a_page_in_seconds() {
    let folder = TempDir::new().expect("a folder");
    let mut rows = common::rows("r", "spark", 1, 20);
    for (number, row) in rows.iter_mut().enumerate() {
        row.parent_source = None;
        row.source = if number % 2 == 0 {
            format!("x = {number}\n").repeat(1 << 20)
        } else {
            format!("'{}{number}'", "y".repeat(10 << 20))
        };
    }
    common::write_rows(&folder.path().join("archive.parquet"), rows);
    let began = std::time::Instant::now();
    report(folder.path(), &["archive.parquet"]).success();
    assert!(began.elapsed().as_secs() < 120, "{:?}", began.elapsed());
    assert!(fs::metadata(folder.path().join("report.html")).expect("the page").len() < 20 << 20);
}

#[test]
fn a_run_of_models_says_what_was_asked_and_what_it_took() {
    let folder = TempDir::new().expect("a folder");
    let mut rows = common::rows("r", "spark", 1, 9);
    for (attempt, reason) in [(3, "timeout: no byte in 60 s"), (4, "timeout: no byte in 90 s"), (5, "status: 500")] {
        let row = Candidate {
            status: Status::Failed,
            reason: Some(reason.into()),
            candidate_id: String::new(),
            ..rows[attempt].clone()
        };
        rows[attempt] = Candidate { verdict: None, ood_acc: None, fitness: None, diagnostics: None, ..row };
    }
    common::write_transcripts(folder.path(), &rows, "small-model", 10);
    common::write_rows(&folder.path().join("archive.parquet"), rows);
    report(folder.path(), &["archive.parquet"]).success();
    let page = fs::read_to_string(folder.path().join("report.html")).expect("the page");
    for part in [
        "<dt>models</dt><dd>small-model</dd>",
        "<span class=\"what\">Tokens</span><strong>2\u{202f}160</strong>",
        "1\u{202f}800 prompt (1\u{202f}080 cached), 360 completion; 18 calls; of 9 calls estimated",
        "<strong>4.5000</strong>",
        "<strong>1.5 s</strong>",
    ] {
        assert!(page.contains(part), "the page lacks: {part}");
    }
    let details = common::unpacked(&page, "details");
    let talks = details["talks"][0].as_object().expect("attempts");
    assert_eq!(talks.len(), 9);
    let (first, second) = (&talks["1"][0], &talks["2"][1]);
    assert_eq!(second["title"], "Call 1: writer asks small-model");
    assert_eq!(second["spent"], "about 100 (60 cached) and 20 tokens, cost 0.250000, 1.5 s");
    assert_eq!(second["faults"][0], "Tried again after: status: small-model");
    assert_eq!(first["texts"][0][1], talks["2"][0]["texts"][0][1], "one system prompt, stored once");
    assert_eq!(details["rows"][3]["reason"], "timeout: no byte in 60 s");
    let losses = fs::read_to_string(folder.path().join("tables/losses.csv")).expect("the table");
    assert!(losses.lines().any(|line| line.starts_with("propose,timeout,,2,attempt 3,")), "{losses}");
    assert!(losses.lines().any(|line| line.starts_with("propose,status,,1,attempt 5,")), "{losses}");
    let models = fs::read_to_string(folder.path().join("tables/models.csv")).expect("the table");
    let done = report(folder.path(), &["archive.parquet", "--json", "--no-svg", "--no-tables", "--quiet"]).success();
    let summary: serde_json::Value = serde_json::from_slice(&done.get_output().stdout).expect("JSON");
    let took = serde_json::json!({"names": "small-model", "calls": 18, "tokens": 2160, "cost": 4.5, "seconds": 27.0});
    assert_eq!(summary["runs"][0]["models"], took);
    assert_eq!(models.lines().nth(1), Some("router,small-model,9,0,9,900,540,180,,0,2.25,1.5,1.5,13.333333333333334"));
}

#[test]
fn long_conversations_keep_the_page_small_and_say_what_is_left_out() {
    let folder = TempDir::new().expect("a folder");
    let mut rows = common::rows("r", "spark", 3, 400);
    rows.iter_mut().for_each(|row| (row.source, row.parent_source) = (common::SEED_PROGRAM.into(), None));
    common::write_transcripts(folder.path(), &rows, "m", 50_000);
    common::write_rows(&folder.path().join("archive.parquet"), rows);
    report(folder.path(), &["archive.parquet"]).success();
    let page = fs::read_to_string(folder.path().join("report.html")).expect("the page");
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    let details = common::unpacked(&page, "details");
    assert!(details.to_string().contains("characters are left out here"));
    let shown = details["talks"][0].as_object().expect("attempts").len();
    assert!(
        shown == 400 || page.contains(&format!("Exchanges of {} attempts have no room", 400 - shown)),
        "{shown} are shown"
    );
}

#[test]
fn settings_and_transcripts_that_are_no_text_are_named() {
    let folder = TempDir::new().expect("a folder");
    common::write_run(folder.path(), "r", "spark", 0, 5);
    let said = || text(&report(folder.path(), &["archive.parquet"]).failure().code(1).get_output().stderr);
    fs::write(folder.path().join("transcripts.jsonl"), b"\n{\"attempt\": \"\xff\"}\n").expect("written");
    assert!(said().contains("transcripts.jsonl: line 2"), "{}", said());
    fs::remove_file(folder.path().join("transcripts.jsonl")).expect("removed");
    fs::write(folder.path().join("config.toml"), b"[search]\nmethod = \"\xff\"\n").expect("written");
    assert!(said().contains("config.toml") && said().contains("line 2"), "{}", said());
    fs::write(folder.path().join("config.toml"), "[search]\nm = \"\u{1b}[31m\u{9b}2J").expect("written");
    assert!(!said().chars().any(|c| c.is_control() && c != '\n'), "{:?}", said());
}
